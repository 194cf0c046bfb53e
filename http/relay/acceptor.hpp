#pragma once

#include "http/relay/relayed.hpp"
#include "http/timed.hpp"
#include "messages/error.hpp"
#include "runtime/unique_fd.hpp"

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <functional>
#include <string>

namespace sandy::http::relay {

/// A socket that listens inside a sandbox. Lives on one thread, in an owner that its loop keeps alive.
class acceptor {
public:
  explicit acceptor(boost::asio::io_context& home);

  /// Takes a TCP socket that listens. Fails with internal when it is none.
  result<void> assign(const boost::asio::ip::tcp& protocol, runtime::unique_fd listening);

  /// Hands on what comes, until `close`; holds `take`, and what that keeps, as long. A failure is logged and
  /// tried again after a while. Once.
  /// @param event, label of the log's line about a failure
  io_task<void> run(std::string event, std::string label, std::function<void(socket)> take);

  /// Accepts no more until `go_on`: others wait in the kernel's queue.
  void hold() noexcept { held_ = true; }
  void go_on() noexcept;

  bool is_open() const noexcept { return listening_.is_open(); }
  void close() noexcept;

private:
  boost::asio::basic_socket_acceptor<boost::asio::ip::tcp, io_executor> listening_;
  io_timer pause_;
  bool held_ = false;
};

} // namespace sandy::http::relay
