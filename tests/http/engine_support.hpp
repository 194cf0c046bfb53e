#pragma once

#include "http/context.hpp"
#include "http/observer.hpp"
#include "http/router.hpp"
#include "http/server.hpp"
#include "metrics/registry.hpp"
#include "runtime/entrance.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace sandy::tests {

using namespace std::chrono_literals;

/// Time-outs short enough to wait for, long enough for a machine under load.
http::edge_limits quick_limits();

/// Collects what an observer is told.
class counting_observer final : public http::http_observer {
public:
  void connection_opened() noexcept override { ++opened; }
  void connection_closed() noexcept override { ++closed; }
  void request_finished(std::string_view route, std::string_view method, unsigned status,
                        double seconds) noexcept override;
  std::vector<std::string> lines(); ///< "GET /tiny 200"

  std::atomic<int> opened{0};
  std::atomic<int> closed{0};

private:
  std::mutex mutex_;
  std::vector<std::string> lines_;
};

/// A server of test handlers on a port of the kernel's choice, with two threads.
class engine {
public:
  /// @param open everybody is somebody, without a key.
  explicit engine(http::edge_limits limits = quick_limits(), std::vector<std::string> cors_origins = {},
                  bool open = false);
  /// Stops the server; fails the test when a session does not end.
  ~engine();

  /// Blocks until the server has stopped. @returns sessions that did not end.
  std::size_t stop(std::chrono::milliseconds grace);

  /// A door from inside a sandbox, which the server is to serve until `owner` is destroyed.
  struct door {
    std::uint16_t port = 0;
    std::shared_ptr<void> owner;
  };
  door open_door(principal inside);
  http::server& server() { return *server_; }
  /// What its handlers work with. To be changed before somebody needs it.
  http::context& shared() { return context_; }
  /// From now on the server listens on the ports that sandboxes expose.
  void listen_on_ports() { context_.port_listeners = true; }

  std::uint16_t port = 0;
  counting_observer observer;
  runtime::entrances entrances; ///< to sandboxes whose names end with .sandy.localhost

private:
  class no_data final : public data_plane {
  public:
    std::shared_ptr<sandbox_io> find(const sandbox_id&) override { return nullptr; }
  };
  struct config : caf::actor_system_config {
    config() { set("scheduler.policy", caf::atom("testing")); }
  };
  using guard = boost::asio::executor_work_guard<boost::asio::io_context::executor_type>;

  config config_;
  caf::actor_system system_{config_};
  no_data data_;
  metrics::registry metrics_{"test", {"basic"}};
  http::context context_;
  http::router router_;
  std::vector<std::unique_ptr<boost::asio::io_context>> contexts_;
  std::vector<guard> guards_;
  std::vector<std::thread> threads_;
  std::unique_ptr<http::server> server_;
  bool stopped_ = false;
};

/// What the handlers of `engine` did, seen from the test's thread. Reset by each engine.
struct handler_trace {
  std::atomic<int> entered{0};      ///< /wait, /hang_up, /either, /flood, /echo, /tunnel: handlers that began
  std::atomic<int> ended{0};        ///< those that returned, or were cancelled
  std::atomic<int> hang_ups{0};     ///< /hang_up, /either: hang-ups seen
  std::atomic<bool> release{false}; ///< lets /wait answer
  std::atomic<std::uint64_t> written{0}; ///< /flood: bytes the kernel took
};
handler_trace& trace();

struct response {
  unsigned status = 0;
  std::map<std::string, std::string> fields; ///< names in lower case
  std::string body;
  bool complete = false; ///< framing and bytes agree
};

/// A client that says exactly what the test wants said. Every wait ends after 20 s.
/// Sends all of it, blocking. False when the peer does not take it.
bool send_all(int socket, std::string_view bytes);

class raw_client {
public:
  explicit raw_client(std::uint16_t port, int receive_buffer = 0);
  raw_client(const raw_client&) = delete;
  ~raw_client();

  /// False when the server does not take it.
  bool send(std::string_view bytes);
  /// Reads one response; `head` for the answer to a HEAD request. Interim (1xx) responses are responses.
  response receive(bool head = false);
  /// Everything up to the end of the connection. @param reset set when it ended by a reset.
  std::string receive_all(bool* reset = nullptr);
  /// What is there, at least a byte; empty at the end.
  std::string receive_some();
  /// At least that many bytes; fewer when the connection ends first.
  std::string receive_bytes(std::size_t count);
  void shutdown_write();
  /// Closes with a reset.
  void reset();

private:
  bool fill();
  int socket_ = -1;
  std::string buffer_;
  bool reset_seen_ = false;
};

/// Waits up to 20 s for something that another thread makes true.
template <class Condition>
bool eventually(Condition condition) {
  for (auto end = std::chrono::steady_clock::now() + 20s; std::chrono::steady_clock::now() < end;) {
    if (condition())
      return true;
    std::this_thread::sleep_for(1ms);
  }
  return condition();
}

} // namespace sandy::tests
