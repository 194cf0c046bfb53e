#pragma once

#include "http/shard.hpp"
#include "messages/error.hpp"

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string_view>

namespace sandy::http {

enum class io_status : std::uint8_t {
  ok,
  would_block, ///< nothing to read now
  closed,      ///< the client is gone (for writes) or has closed its side (for reads), or the session was
               ///< cancelled
  timed_out,   ///< the deadline passed
};

class tls_stream;

/// A socket: bytes in and out, with deadlines; once it was greeted by TLS, those within TLS. Waiting is
/// separate from reading: an operation that is cancelled while it waits has taken no bytes, and an idle
/// connection needs no buffer. Used on its shard's thread.
class connection {
public:
  using socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, io_executor>;

  connection(socket accepted, std::shared_ptr<shard> home);
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;
  ~connection();

  read_buffer& buffer() noexcept { return buffer_; }
  /// The socket itself, for whoever speaks another protocol on it (`exchange::take_over`). Closed when the
  /// session is killed. Whoever uses it knows nothing of this class's deadlines, and nothing of TLS.
  socket& raw() noexcept { return socket_; }

  /// Speaks TLS from now on, once both sides know each other. Before anything else was sent or read.
  /// @param timeout of the whole greeting. Fails with upstream_error and half a sentence that says what the
  /// other side did.
  io_task<result<void>> greet(std::unique_ptr<tls_stream> side, std::chrono::milliseconds timeout);

  /// Reads what is there into the buffer, without waiting. @param most bytes the buffer may hold; when it
  /// holds that many, nothing is read and the answer is `ok`.
  io_status receive(std::size_t most);
  /// As `receive`, into memory of the caller. `count` is what was read.
  io_status receive(char* into, std::size_t size, std::size_t& count);
  /// Whether bytes were read that nobody took yet.
  bool has_unread() const noexcept;
  /// Waits until `receive` has something to say. @param timeout 0: for ever.
  io_task<io_status> wait_readable(std::chrono::milliseconds timeout);

  using pieces = std::array<std::string_view, 4>;
  /// Sends all bytes, one after the other. The timeout starts again whenever the client takes some.
  io_task<io_status> send(pieces bytes, std::chrono::milliseconds stall_timeout);

  /// Sends what is taken without waiting; the pieces become what is left of them. `would_block`: there is
  /// more to be sent, perhaps none of these, and the next call does.
  io_status send_some(pieces& rest);

  /// Returns when the client has closed its side or is gone. Reads ahead, into the buffer, up to `most`
  /// bytes.
  io_task<void> peer_closed(std::size_t most);
  /// Whether it has, now.
  bool has_peer_closed() noexcept;

  /// Closes so that the client gets what was sent: a socket closed with unread bytes resets the connection,
  /// which can destroy the answer on its way. Reads and forgets for at most `patience`.
  io_task<void> close_gently(std::chrono::milliseconds patience);
  /// Closes with a reset: the client sees that the answer was cut where its framing cannot say so.
  void abort() noexcept;
  /// Says that nothing will follow; reading goes on. Through TLS that is bytes to be sent, as by `send`.
  io_task<io_status> shutdown_send(std::chrono::milliseconds stall_timeout);
  /// Whether `receive` told the proper end of what the peer sent, and no break. Through TLS the peer has to
  /// say that it ends: anybody on the way could end a socket.
  bool ended() const noexcept { return end_seen_ && !broken_; }
  /// Sets what speeds a socket up that was opened, or connected, after the construction.
  void tune() noexcept;
  /// Ends every wait on the socket, now and from now on, with `closed`.
  void interrupt() noexcept;

private:
  using wait_type = boost::asio::socket_base::wait_type;
  io_task<io_status> wait(wait_type what, deadline& until, bool& expired, std::chrono::milliseconds timeout);
  io_task<io_status> wait_for_bytes(deadline& until, bool& expired, std::chrono::milliseconds timeout);
  io_status receive_sealed(char* into, std::size_t size, std::size_t& count);
  io_status send_some_plain(pieces& rest);
  io_status send_some_sealed(pieces& rest);
  io_status send_sealed();

  socket socket_;
  std::shared_ptr<shard> shard_;
  std::unique_ptr<tls_stream> tls_; ///< nullptr: plain
  read_buffer buffer_;
  deadline read_deadline_;
  deadline write_deadline_;
  bool read_expired_ = false;
  bool write_expired_ = false;
  bool interrupted_ = false;
  bool broken_ = false;
  bool end_seen_ = false; ///< the peer closed its side, or the connection broke
};

} // namespace sandy::http
