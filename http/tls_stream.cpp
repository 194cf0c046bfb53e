#include "http/tls_stream.hpp"

#include <boost/asio/ip/address.hpp>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <utility>

#include <sys/socket.h>

namespace sandy::http {

namespace {

// A record of TLS holds at most 16 KiB.
constexpr std::size_t record_bytes = 16 * 1024;
// Sent with one system call.
constexpr std::size_t batch_bytes = 4 * record_bytes;
// An other side that has us answer without end, and takes none of it, gets no more than this.
constexpr std::size_t most_sealed = 4 * batch_bytes;
// Kept for the next small message; thousands of idle connections hold no more.
constexpr std::size_t kept_bytes = 4 * 1024;

caf::error not_set_up() { return fail(errc::internal, "TLS cannot be set up"); }

/// The next record's bytes: where pieces are small, several of them in `memory`.
std::string_view take_record(std::span<std::string_view> pieces, std::span<char, record_bytes> memory) {
  auto some = [](std::string_view piece) { return !piece.empty(); };
  auto first = std::ranges::find_if(pieces, some);
  if (first == pieces.end())
    return {};
  auto alone = std::none_of(first + 1, pieces.end(), some);
  if (alone || first->size() >= record_bytes) {
    auto record = first->substr(0, record_bytes);
    first->remove_prefix(record.size());
    return record;
  }
  std::size_t used = 0;
  for (auto& piece : pieces) {
    auto size = std::min(piece.size(), record_bytes - used);
    std::copy_n(piece.data(), size, memory.data() + used);
    piece.remove_prefix(size);
    used += size;
  }
  return {memory.data(), used};
}

} // namespace

struct tls_stream::socket_io {
  static tls_stream& of(BIO* bio) { return *static_cast<tls_stream*>(BIO_get_data(bio)); }

  static int read(BIO* bio, char* into, int size) noexcept {
    auto& side = of(bio);
    BIO_clear_retry_flags(bio);
    for (;;) {
      auto got = ::recv(side.socket_, into, static_cast<std::size_t>(size), MSG_DONTWAIT);
      if (got > 0)
        return static_cast<int>(got);
      if (got < 0 && errno == EINTR)
        continue;
      if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        BIO_set_retry_read(bio);
        return -1;
      }
      side.cut_ = true;
      return 0;
    }
  }

  static int write(BIO* bio, const char* from, int size) noexcept {
    auto& side = of(bio);
    BIO_clear_retry_flags(bio);
    if (side.sealed().size() > most_sealed)
      return -1;
    side.sealed_.append(from, static_cast<std::size_t>(size));
    return size;
  }

  static long control(BIO* bio, int what, long, void*) noexcept {
    if (what == BIO_CTRL_EOF)
      return of(bio).cut_ ? 1 : 0;
    return what == BIO_CTRL_FLUSH ? 1 : 0;
  }

  static const BIO_METHOD* method() {
    static const BIO_METHOD* const made = [] {
      auto* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "connection");
      if (method != nullptr) {
        BIO_meth_set_read(method, &socket_io::read);
        BIO_meth_set_write(method, &socket_io::write);
        BIO_meth_set_ctrl(method, &socket_io::control);
      }
      return method;
    }();
    return made;
  }
};

tls_stream::made tls_stream::make(SSL_CTX* context) {
  std::unique_ptr<tls_stream> made{new tls_stream{SSL_new(context)}};
  auto* side = made->ssl_.get();
  auto* bio = side == nullptr || socket_io::method() == nullptr ? nullptr : BIO_new(socket_io::method());
  if (bio == nullptr)
    return not_set_up();
  BIO_set_data(bio, made.get());
  BIO_set_init(bio, 1);
  SSL_set_bio(side, bio, bio);                  // which it owns from now on
  SSL_set_read_ahead(side, 1);                  // a record with one system call
  SSL_set_mode(side, SSL_MODE_RELEASE_BUFFERS); // idle connections are many
  return made;
}

tls_stream::made tls_stream::client(SSL_CTX* context) {
  auto made = make(context);
  if (made)
    SSL_set_connect_state((*made)->ssl_.get());
  return made;
}

tls_stream::made tls_stream::server(SSL_CTX* context) {
  auto made = make(context);
  if (made)
    SSL_set_accept_state((*made)->ssl_.get());
  return made;
}

tls_stream::made tls_stream::to_host(SSL_CTX* context, const std::string& host) {
  auto made = client(context);
  if (!made)
    return made;
  auto* side = (*made)->ssl_.get();
  boost::system::error_code no_address;
  boost::asio::ip::make_address(host, no_address);
  auto set = no_address
                 ? SSL_set1_host(side, host.c_str()) == 1 && SSL_set_tlsext_host_name(side, host.c_str()) == 1
                 : X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(side), host.c_str()) == 1;
  if (!set)
    return not_set_up();
  return made;
}

std::string tls_stream::why_refused() const {
  constexpr std::string_view untrusted = "has no TLS that can be trusted: ";
  if (auto verified = SSL_get_verify_result(ssl_.get()); verified != X509_V_OK)
    return std::string{untrusted} + X509_verify_cert_error_string(verified);
  if (cut_)
    return "broke the connection off";
  std::array<char, 256> text{};
  auto code = ERR_get_error();
  ERR_error_string_n(code, text.data(), text.size());
  const auto* reason = ERR_reason_error_string(code);
  return std::string{untrusted} + (reason != nullptr ? reason : text.data());
}

io_status tls_stream::handshake(int socket) {
  ERR_clear_error();
  socket_ = socket;
  auto done = SSL_do_handshake(ssl_.get());
  socket_ = -1;
  if (done == 1)
    return io_status::ok;
  if (SSL_get_error(ssl_.get(), done) == SSL_ERROR_WANT_READ)
    return io_status::would_block;
  over_ = true;
  refusal_ = why_refused();
  return io_status::closed;
}

bool tls_stream::at_hand() const noexcept { return over_ || (!starved_ && has_unread()); }

io_status tls_stream::receive(int socket, char* into, std::size_t size, std::size_t& count) {
  count = 0;
  if (over_)
    return io_status::closed;
  socket_ = socket;
  auto why = SSL_ERROR_NONE;
  while (count < size && why == SSL_ERROR_NONE) {
    ERR_clear_error();
    auto got =
        SSL_read(ssl_.get(), into + count, static_cast<int>(std::min<std::size_t>(size - count, INT_MAX)));
    why = SSL_get_error(ssl_.get(), got);
    count += static_cast<std::size_t>(std::max(got, 0));
    if (why == SSL_ERROR_NONE && !has_unread())
      break; // asking the socket again, which has nothing as a rule, would be a wasted system call
  }
  socket_ = -1;
  starved_ = why == SSL_ERROR_WANT_READ;
  ended_ = why == SSL_ERROR_ZERO_RETURN;
  over_ = why != SSL_ERROR_NONE && !starved_;
  if (count > 0)
    return io_status::ok; // how it ends is said next time
  return over_ ? io_status::closed : io_status::would_block;
}

bool tls_stream::seal(std::span<std::string_view> pieces) {
  std::array<char, record_bytes> memory;
  while (sealed().size() < batch_bytes) {
    auto record = take_record(pieces, memory);
    if (record.empty())
      return true;
    ERR_clear_error();
    if (SSL_write(ssl_.get(), record.data(), static_cast<int>(record.size())) <= 0)
      return false;
  }
  return true;
}

void tls_stream::seal_end() noexcept {
  // Twice, it would wait for the other side's end. One that does not know us, or broke, is told nothing.
  if (std::exchange(end_said_, true) || SSL_is_init_finished(ssl_.get()) != 1 || (over_ && !ended_))
    return;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
}

void tls_stream::sent(std::size_t count) noexcept {
  sent_ += count;
  if (sent_ < sealed_.size())
    return;
  sent_ = 0;
  if (sealed_.capacity() > kept_bytes)
    sealed_ = {};
  else
    sealed_.clear();
}

} // namespace sandy::http
