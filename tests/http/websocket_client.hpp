#pragma once

#include "runtime/unique_fd.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sandy::tests {

/// A client's end of a WebSocket, byte by byte, so that a test can also send what no library would. Blocking.
class websocket_client {
public:
  explicit websocket_client(runtime::unique_fd connected)
      : fd_(std::move(connected)) {}

  struct message {
    std::uint8_t opcode = 0; ///< 1 text, 2 binary, 8 close, 9 ping, 10 pong
    std::string bytes;
    std::uint16_t close_code() const;
  };

  /// The head of the answer to the handshake.
  std::string head();
  /// The next message; none at the end of the connection.
  std::optional<message> receive();
  /// The next that is no ping; pings are answered.
  std::optional<message> receive_message();
  void send(std::uint8_t opcode, std::string_view bytes);
  void text(std::string_view bytes) { send(1, bytes); }
  void binary(std::string_view bytes) { send(2, bytes); }
  void send_raw(std::string_view bytes);
  void hang_up() { fd_.reset(); }

private:
  bool fill();

  runtime::unique_fd fd_;
  std::string buffer_;
};

} // namespace sandy::tests
