#pragma once

#include "http/engine_support.hpp"
#include "runtime/entrance.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace sandy::tests {

inline const sandbox_id guest_id{"46da12d345fb7c0146da12d3"};

/// One connection of an application, with blocking calls.
class application_link {
public:
  explicit application_link(int socket)
      : socket_(socket) {}
  /// The next request's head; empty at the end.
  std::string head();
  /// Exactly that many bytes; fewer at the end.
  std::string bytes(std::size_t count);
  bool send(std::string_view bytes);
  void shutdown_write();
  /// Closes with a reset.
  void reset();

private:
  friend class scripted_application;
  bool fill();
  int socket_;
  std::string buffer_;
};

/// A program that listens on loopback and does with every connection what the test's script says, in a thread
/// of its own; the connection closes when the script returns.
class scripted_application {
public:
  using script = std::function<void(application_link&)>;
  explicit scripted_application(script each);
  scripted_application(const scripted_application&) = delete;
  ~scripted_application();

  /// Answers every request of every connection with these bytes.
  static script always(std::string answer);

  std::uint16_t port = 0;
  std::atomic<int> accepted{0};

private:
  int listener_ = -1;
  std::mutex mutex_;
  std::vector<int> open_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

/// An engine with the way into one sandbox, whose network is this machine's own.
class ingress_engine {
public:
  explicit ingress_engine(std::uint16_t runtime_port, std::vector<std::uint16_t> exposed = {},
                          std::vector<std::uint16_t> closed = {}, http::edge_limits limits = quick_limits());

  /// The head of a request to the sandbox, with its empty line.
  static std::string get(const std::string& target = "/", const std::string& extra = {});
  /// One request on a connection of its own.
  response ask(const std::string& request, bool head = false);

  engine edge;
  std::shared_ptr<runtime::entrance> entrance;
};

} // namespace sandy::tests
