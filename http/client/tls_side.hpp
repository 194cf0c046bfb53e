#pragma once

#include "http/connection.hpp"
#include "messages/error.hpp"

#include <openssl/ssl.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

namespace sandy::http::client {

/// Our side of TLS on a connection to a host. It reads and writes memory; `connection` moves the bytes, with
/// its deadlines. Used on the connection's thread.
class tls_side {
public:
  /// @param host whose certificate it must be. Fails with internal.
  static result<std::unique_ptr<tls_side>> make(SSL_CTX* context, const std::string& host);

  /// Greets the host and makes sure who it is. Fails with upstream_error and half a sentence.
  io_task<result<void>> greet(connection& over, std::chrono::milliseconds stall_timeout);

  /// What was read and not yet used.
  std::string_view unread() const noexcept { return std::string_view{plain_}.substr(used_); }
  void consume(std::size_t count) noexcept;
  /// As `connection::receive`.
  io_status receive(connection& over, std::size_t most);
  /// Whether nothing was read that nobody took.
  bool is_empty() const noexcept;
  /// Whether `receive` has something to say without the connection's help.
  bool more_at_hand() const noexcept { return more_; }
  /// As `connection::send`.
  io_task<io_status> send(connection& over, connection::pieces bytes,
                          std::chrono::milliseconds stall_timeout);
  /// Whether the host said that it ends, so that nothing was cut off.
  bool ended() const noexcept { return ended_; }

private:
  struct freed {
    void operator()(SSL* side) const noexcept { SSL_free(side); }
  };
  explicit tls_side(SSL* made)
      : ssl_(made) {}
  io_task<io_status> flush(connection& over, std::chrono::milliseconds stall_timeout);
  void take_in(connection& over);

  std::unique_ptr<SSL, freed> ssl_;
  std::string plain_;
  std::size_t used_ = 0;
  std::string sealed_; ///< to be sent
  bool more_ = false;
  bool ended_ = false;
};

} // namespace sandy::http::client
