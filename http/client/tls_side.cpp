#include "http/client/tls_side.hpp"

#include <boost/asio/ip/address.hpp>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>

namespace sandy::http::client {

namespace {

// A record of TLS holds at most 16 KiB.
constexpr std::size_t record_bytes = 16 * 1024;

std::string why_refused(SSL* side) {
  if (auto verified = SSL_get_verify_result(side); verified != X509_V_OK)
    return X509_verify_cert_error_string(verified);
  std::array<char, 256> text{};
  auto code = ERR_get_error();
  if (code == 0)
    return "the host closed the connection";
  ERR_error_string_n(code, text.data(), text.size());
  const auto* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : text.data();
}

} // namespace

result<std::unique_ptr<tls_side>> tls_side::make(SSL_CTX* context, const std::string& host) {
  auto failed = [] { return fail(errc::internal, "TLS cannot be set up"); };
  std::unique_ptr<tls_side> made{new tls_side{SSL_new(context)}};
  auto* side = made->ssl_.get();
  auto* in = side == nullptr ? nullptr : BIO_new(BIO_s_mem());
  auto* out = in == nullptr ? nullptr : BIO_new(BIO_s_mem());
  if (out == nullptr) {
    BIO_free(in);
    return failed();
  }
  SSL_set_bio(side, in, out); // which it owns from now on
  SSL_set_connect_state(side);
  boost::system::error_code no_address;
  boost::asio::ip::make_address(host, no_address);
  auto set = no_address
                 ? SSL_set1_host(side, host.c_str()) == 1 && SSL_set_tlsext_host_name(side, host.c_str()) == 1
                 : X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(side), host.c_str()) == 1;
  if (!set)
    return failed();
  return made;
}

/// Hands over what the connection has read.
void tls_side::take_in(connection& over) {
  auto sealed = over.buffer().data();
  if (sealed.empty())
    return;
  // Memory takes everything.
  BIO_write(SSL_get_rbio(ssl_.get()), sealed.data(), static_cast<int>(sealed.size()));
  over.buffer().consume(sealed.size());
}

io_task<io_status> tls_side::flush(connection& over, std::chrono::milliseconds stall_timeout) {
  auto* out = SSL_get_wbio(ssl_.get());
  sealed_.resize(BIO_ctrl_pending(out));
  if (!sealed_.empty())
    BIO_read(out, sealed_.data(), static_cast<int>(sealed_.size()));
  auto sent = co_await over.send({sealed_}, stall_timeout);
  sealed_.clear();
  co_return sent;
}

io_task<result<void>> tls_side::greet(connection& over, std::chrono::milliseconds stall_timeout) {
  for (;;) {
    ERR_clear_error();
    auto done = SSL_do_handshake(ssl_.get());
    auto why = SSL_get_error(ssl_.get(), done);
    std::string refused = done == 1 || why == SSL_ERROR_WANT_READ ? "" : why_refused(ssl_.get());
    auto sent = co_await flush(over, stall_timeout); // an alert, too
    if (!refused.empty())
      co_return fail(errc::upstream_error, "has no TLS that can be trusted: " + refused);
    if (sent != io_status::ok)
      co_return fail(errc::upstream_error, "broke the connection off");
    if (done == 1)
      co_return caf::unit;
    auto status = over.receive(record_bytes);
    if (status == io_status::would_block) {
      status = co_await over.wait_readable(stall_timeout);
      if (status == io_status::ok)
        continue;
    }
    if (status != io_status::ok)
      co_return fail(errc::upstream_error,
                     status == io_status::timed_out ? "did not answer in time" : "broke the connection off");
    take_in(over);
  }
}

bool tls_side::is_empty() const noexcept {
  return unread().empty() && !more_ && BIO_ctrl_pending(SSL_get_rbio(ssl_.get())) == 0;
}

void tls_side::consume(std::size_t count) noexcept {
  used_ += count;
  if (used_ == plain_.size()) {
    plain_.clear();
    used_ = 0;
  }
}

io_status tls_side::receive(connection& over, std::size_t most) {
  if (unread().size() >= most)
    return io_status::ok;
  plain_.erase(0, used_);
  used_ = 0;
  auto got = over.receive(record_bytes);
  take_in(over);
  auto before = plain_.size();
  int why = SSL_ERROR_NONE;
  more_ = false;
  while (why == SSL_ERROR_NONE) {
    if (plain_.size() >= most) {
      more_ = true;
      break;
    }
    auto size = plain_.size();
    plain_.resize(size + std::min(most - size, record_bytes));
    ERR_clear_error();
    auto count = SSL_read(ssl_.get(), plain_.data() + size, static_cast<int>(plain_.size() - size));
    why = SSL_get_error(ssl_.get(), count);
    plain_.resize(size + static_cast<std::size_t>(std::max(count, 0)));
  }
  if (plain_.size() > before)
    return io_status::ok;
  if (why == SSL_ERROR_ZERO_RETURN) {
    ended_ = true;
    return io_status::closed;
  }
  if (why != SSL_ERROR_WANT_READ)
    return io_status::closed;
  return got == io_status::ok ? io_status::would_block : got; // a part of a record is nothing yet
}

io_task<io_status> tls_side::send(connection& over, connection::pieces bytes,
                                  std::chrono::milliseconds stall_timeout) {
  for (auto piece : bytes)
    while (!piece.empty()) {
      ERR_clear_error();
      auto size = std::min<std::size_t>(piece.size(), record_bytes);
      auto taken = SSL_write(ssl_.get(), piece.data(), static_cast<int>(size));
      if (taken <= 0)
        co_return io_status::closed;
      piece.remove_prefix(static_cast<std::size_t>(taken));
      if (BIO_ctrl_pending(SSL_get_wbio(ssl_.get())) < 4 * record_bytes)
        continue;
      auto sent = co_await flush(over, stall_timeout);
      if (sent != io_status::ok)
        co_return sent;
    }
  co_return co_await flush(over, stall_timeout);
}

} // namespace sandy::http::client
