#pragma once

#include "messages/error.hpp"

#include <openssl/ssl.h>

#include <memory>
#include <string>

namespace sandy::http::nodes {

/// By what a node of a cluster shows the others that it is one: a certificate that the cluster's authority
/// signed. Whoever has such a certificate is a node; the names in it are not looked at, because nodes come,
/// go and change their addresses, and each may do what every other may. One for the server; thread safe.
class credentials {
public:
  /// @param certificate, key, authority PEM files: this node's certificate (and those between it and the
  /// authority's, if there are any), its private key without a password, and the authority's certificate.
  /// Blocking: reads them. Fails with invalid_argument and a sentence that names the file.
  static result<std::shared_ptr<credentials>> load(const std::string& certificate, const std::string& key,
                                                   const std::string& authority);

  /// For either role: TLS 1.3, and the other side has to show its certificate.
  SSL_CTX* server() noexcept { return server_.get(); }
  SSL_CTX* client() noexcept { return client_.get(); }

private:
  struct freed {
    void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
  };
  using context = std::unique_ptr<SSL_CTX, freed>;
  credentials() = default;

  context server_;
  context client_;
};

} // namespace sandy::http::nodes
