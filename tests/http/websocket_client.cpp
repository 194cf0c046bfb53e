#include "http/websocket_client.hpp"

#include <sys/socket.h>

namespace sandy::tests {

std::uint16_t websocket_client::message::close_code() const {
  if (opcode != 8 || bytes.size() < 2)
    return 0;
  return static_cast<std::uint16_t>(static_cast<unsigned char>(bytes[0]) << 8 |
                                    static_cast<unsigned char>(bytes[1]));
}

bool websocket_client::fill() {
  char piece[65536];
  auto count = ::recv(fd_.get(), piece, sizeof piece, 0);
  if (count <= 0)
    return false;
  buffer_.append(piece, static_cast<std::size_t>(count));
  return true;
}

std::string websocket_client::head() {
  while (buffer_.find("\r\n\r\n") == std::string::npos)
    if (!fill())
      return {};
  auto end = buffer_.find("\r\n\r\n") + 4;
  auto text = buffer_.substr(0, end);
  buffer_.erase(0, end);
  return text;
}

std::optional<websocket_client::message> websocket_client::receive() {
  auto have = [this](std::size_t count) {
    while (buffer_.size() < count)
      if (!fill())
        return false;
    return true;
  };
  if (!have(2))
    return std::nullopt;
  std::uint64_t size = static_cast<unsigned char>(buffer_[1]) & 0x7f;
  std::size_t at = 2;
  if (size >= 126) {
    auto width = size == 126 ? 2u : 8u;
    if (!have(at + width))
      return std::nullopt;
    size = 0;
    for (unsigned i = 0; i < width; ++i)
      size = size << 8 | static_cast<unsigned char>(buffer_[at++]);
  }
  if (!have(at + size))
    return std::nullopt;
  message found{static_cast<std::uint8_t>(buffer_[0] & 0x0f), buffer_.substr(at, size)};
  buffer_.erase(0, at + size);
  return found;
}

std::optional<websocket_client::message> websocket_client::receive_message() {
  for (;;) {
    auto next = receive();
    if (!next || next->opcode != 9)
      return next;
    send(10, next->bytes);
  }
}

void websocket_client::send(std::uint8_t opcode, std::string_view bytes) {
  std::string frame{static_cast<char>(0x80 | opcode)};
  if (bytes.size() < 126) {
    frame += static_cast<char>(0x80 | bytes.size());
  } else {
    frame += static_cast<char>(0x80 | 127);
    for (int shift = 56; shift >= 0; shift -= 8)
      frame += static_cast<char>(bytes.size() >> shift & 0xff);
  }
  frame.append(4, '\0'); // a mask of zeros masks nothing
  frame += bytes;
  send_raw(frame);
}

void websocket_client::send_raw(std::string_view bytes) {
  while (!bytes.empty()) {
    auto count = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0)
      return;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

} // namespace sandy::tests
