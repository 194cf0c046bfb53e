#pragma once

#include "messages/error.hpp"

#include <boost/asio/ssl/context.hpp>

#include <memory>
#include <string>

namespace sandy::http::client {

/// Whom the server believes to be who they say they are, when it asks hosts of the world. One for the server;
/// thread safe.
class trust {
public:
  /// @param authorities a file of certificate authorities (PEM) that are trusted besides the machine's;
  /// empty: none. Blocking: reads them. Fails with invalid_argument when it cannot be used.
  static result<std::shared_ptr<trust>> make(const std::string& authorities);

  SSL_CTX* context() noexcept { return context_.native_handle(); }

private:
  trust();
  boost::asio::ssl::context context_{boost::asio::ssl::context::tls_client};
};

} // namespace sandy::http::client
