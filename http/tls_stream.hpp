#pragma once

#include "http/connection.hpp"
#include "messages/error.hpp"

#include <openssl/ssl.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace sandy::http {

/// TLS on a connection's socket, as its client or as its server. It reads from the socket without waiting,
/// and keeps what is to be sent until the `connection` that owns it has sent it: all waiting, with its
/// deadlines, is the connection's. Used on the connection's thread.
class tls_stream {
public:
  using made = result<std::unique_ptr<tls_stream>>;
  /// The client's side. @param host whose certificate the other side must show: a name or an IP address.
  /// Fails with internal, as the two below.
  static made to_host(SSL_CTX* context, const std::string& host);
  /// The client's side, for a context that says by itself whom it trusts: names are not compared.
  static made client(SSL_CTX* context);
  static made server(SSL_CTX* context);
  tls_stream(const tls_stream&) = delete;
  tls_stream& operator=(const tls_stream&) = delete;

  /// Goes on with the greeting as far as it gets. `ok`: both sides know each other; `would_block`: the other
  /// side is to say something; `closed`: it came to nothing, `refusal` says why. In every case there may be
  /// something to send.
  io_status handshake(int socket);
  /// Half a sentence: "broke the connection off".
  const std::string& refusal() const noexcept { return refusal_; }

  /// As `connection::receive`; takes all that is there and fits. Afterwards there may be something to send:
  /// TLS itself answers, too.
  io_status receive(int socket, char* into, std::size_t size, std::size_t& count);
  /// Whether `receive` has something to say that the socket does not know of.
  bool at_hand() const noexcept;
  /// Whether bytes were read that nobody took yet, be it a part of a record.
  bool has_unread() const noexcept { return SSL_has_pending(ssl_.get()) == 1; }
  /// Whether the other side said that it ends: without that, what it sent may be cut off.
  bool ended() const noexcept { return ended_; }

  /// Makes records of the pieces, which become what is left of them: as many as are worth a system call.
  /// False: the connection is of no use any more.
  bool seal(std::span<std::string_view> pieces);
  /// Says that nothing will follow.
  void seal_end() noexcept;
  /// What is to be sent.
  std::string_view sealed() const noexcept { return std::string_view{sealed_}.substr(sent_); }
  /// So much of it was.
  void sent(std::size_t count) noexcept;

private:
  struct freed {
    void operator()(SSL* side) const noexcept { SSL_free(side); }
  };
  struct socket_io; ///< what OpenSSL reads and writes with
  explicit tls_stream(SSL* side)
      : ssl_(side) {}
  static made make(SSL_CTX* context);
  std::string why_refused() const;

  std::unique_ptr<SSL, freed> ssl_;
  int socket_ = -1;    ///< while OpenSSL may read from it: the connection may close it at other times
  std::string sealed_; ///< to be sent
  std::size_t sent_ = 0;
  std::string refusal_;
  bool starved_ = false;  ///< what was read is at most a part of a record
  bool cut_ = false;      ///< the socket has ended or is broken
  bool over_ = false;     ///< nothing more can be received
  bool ended_ = false;    ///< properly
  bool end_said_ = false; ///< by us
};

} // namespace sandy::http
