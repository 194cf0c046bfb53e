#include "http/nodes/credentials.hpp"

#include <openssl/err.h>

#include <string_view>
#include <system_error>

namespace sandy::http::nodes {

namespace {

/// What OpenSSL says about what just failed.
std::string why() {
  const char* detail = nullptr;
  int flags = 0;
  auto code = ERR_get_error_all(nullptr, nullptr, nullptr, &detail, &flags); // the first is the cause
  if (ERR_SYSTEM_ERROR(code))
    return std::generic_category().message(ERR_GET_REASON(code));
  const auto* reason = ERR_reason_error_string(code);
  std::string text{reason != nullptr ? reason : "it is not in PEM"};
  if ((flags & ERR_TXT_STRING) != 0 && *detail != '\0')
    text.append(" (").append(detail).append(")");
  return text;
}

caf::error unusable(std::string_view what, const std::string& file) {
  return fail(errc::invalid_argument,
              "The " + std::string{what} + " of this node in " + file + " cannot be used: " + why());
}

/// Nobody is there to be asked: a key with a password is refused.
int no_password(char*, int, int, void*) { return -1; }

void set_up(SSL_CTX* context) {
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_default_passwd_cb(context, no_password);
  // Connections are kept for long: nobody comes back to an earlier one.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 0);
}

result<void> read_files(SSL_CTX* context, const std::string& certificate, const std::string& key,
                        const std::string& authority) {
  if (SSL_CTX_load_verify_locations(context, authority.c_str(), nullptr) != 1)
    return fail(errc::invalid_argument,
                "The certificate of the cluster's authority in " + authority + " cannot be used: " + why());
  if (SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) != 1)
    return unusable("certificate", certificate);
  if (SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1)
    return unusable("private key", key);
  if (SSL_CTX_check_private_key(context) != 1)
    return fail(errc::invalid_argument,
                "The private key in " + key + " is not that of the certificate in " + certificate);
  // Better told now than by every other node.
  if (SSL_CTX_build_cert_chain(context, SSL_BUILD_CHAIN_FLAG_UNTRUSTED | SSL_BUILD_CHAIN_FLAG_NO_ROOT) < 1)
    return fail(errc::invalid_argument, "The certificate in " + certificate +
                                            " is not one that the authority in " + authority +
                                            " vouches for: " + why());
  return caf::unit;
}

} // namespace

result<std::shared_ptr<credentials>> credentials::load(const std::string& certificate, const std::string& key,
                                                       const std::string& authority) {
  std::shared_ptr<credentials> made{new credentials};
  made->server_.reset(SSL_CTX_new(TLS_server_method()));
  made->client_.reset(SSL_CTX_new(TLS_client_method()));
  ERR_clear_error();
  for (auto* context : {made->server_.get(), made->client_.get()}) {
    if (context == nullptr)
      return fail(errc::internal, "TLS cannot be set up");
    set_up(context);
    auto read = read_files(context, certificate, key, authority);
    ERR_clear_error(); // what is left would be blamed on the next one who looks
    if (!read)
      return std::move(read.error());
  }
  return made;
}

} // namespace sandy::http::nodes
