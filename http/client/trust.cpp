#include "http/client/trust.hpp"

#include <openssl/ssl.h>

#include <array>

namespace sandy::http::client {

namespace {

/// What we speak, as TLS tells it (RFC 7301).
constexpr std::array<unsigned char, 9> http11{8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

} // namespace

trust::trust() {
  auto* context = context_.native_handle();
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_alpn_protos(context, http11.data(), http11.size());
  context_.set_verify_mode(boost::asio::ssl::verify_peer);
}

result<std::shared_ptr<trust>> trust::make(const std::string& authorities) {
  std::shared_ptr<trust> made{new trust};
  boost::system::error_code ec;
  made->context_.set_default_verify_paths(ec);
  if (ec)
    return fail(errc::internal, "The machine's certificate authorities cannot be read: " + ec.message());
  if (!authorities.empty())
    made->context_.load_verify_file(authorities, ec);
  if (ec)
    return fail(errc::invalid_argument,
                "The certificate authorities of " + authorities + " cannot be read: " + ec.message());
  return made;
}

} // namespace sandy::http::client
