#pragma once

#include "http/egress/certificate_authority.hpp"
#include "http/egress/placeholders.hpp"

#include <boost/asio/ssl/context.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sandy::http::egress {

/// TLS of the server on both sides of an intercepted connection. One for the server; thread safe.
class tls_sides {
public:
  /// @param authorities a file with certificates of authorities that vouch for hosts besides those that the
  /// machine trusts; empty: none. Blocking: reads them. Fails with invalid_argument when it cannot be used.
  static result<std::shared_ptr<tls_sides>> make(const std::string& authorities);

  boost::asio::ssl::context& towards_sandbox() noexcept { return towards_sandbox_; } ///< has no certificate
  boost::asio::ssl::context& towards_host() noexcept { return towards_host_; }

private:
  tls_sides();
  boost::asio::ssl::context towards_sandbox_{boost::asio::ssl::context::tls_server};
  boost::asio::ssl::context towards_host_{boost::asio::ssl::context::tls_client};
};

/// Makes placeholders and an authority for the secrets that a new sandbox is given. Thread safe. Fails with
/// internal, and with invalid_argument for hosts that are none.
result<sandbox_secrets> place_secrets(std::vector<secret> given);

/// The secrets of one sandbox at work: which of its connections are intercepted, and what they need. Lives on
/// one thread.
class interception {
public:
  /// Fails with internal when the stored secrets cannot be used.
  static result<std::shared_ptr<interception>> make(sandbox_secrets secrets);

  /// Whether a secret is for that connection. Nothing else is intercepted. @param host canonical
  bool wants(std::string_view host, std::uint16_t port, bool tls) const noexcept;

  /// Whether a secret may be for a connection to that port: then what is said on it has to be looked at.
  bool may_want(std::uint16_t port) const noexcept;

  /// What is replaced on that connection.
  replacements secrets_for(std::string_view host, std::uint16_t port, bool tls) const;

  /// The certificate shown to the sandbox; it is for `key()`. Made once while it is remembered. Fails with
  /// forbidden for a host that no secret names, and with internal.
  result<X509*> certificate_for(std::string_view host);
  EVP_PKEY* key() const noexcept { return authority_.key(); }

private:
  struct entry {
    std::shared_ptr<const placed_secret> placed;
    std::vector<host_pattern> hosts;
  };
  explicit interception(certificate_authority authority)
      : authority_(std::move(authority)) {}
  bool is_for(const entry& each, std::string_view host, std::uint16_t port, bool tls) const noexcept;

  certificate_authority authority_;
  std::vector<entry> entries_;
  std::map<std::string, certificate_owner, std::less<>> certificates_;
};

} // namespace sandy::http::egress
