#pragma once

#include "certificates/x509.hpp"
#include "http/egress/host_pattern.hpp"
#include "messages/secrets.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace sandy::http::egress {

using certificates::certificate_owner;
using certificates::key_owner;

/// Makes an authority that can vouch for these hosts and, by its name constraints (RFC 5280, section
/// 4.2.1.10), for no others: whoever got hold of its key could not pose as anybody else. A key on the curve
/// P-256; valid for ten years, longer than any sandbox lives. Fails with internal (OpenSSL's words).
result<authority_keys> make_authority(const std::vector<host_pattern>& hosts);

/// An authority at work. Not thread safe.
class certificate_authority {
public:
  /// Fails with internal when the texts are no keys of `make_authority`.
  static result<certificate_authority> from(const authority_keys& keys);

  /// A certificate for one host's name, valid as long as the authority's, for the key `key()`.
  /// Fails with internal. Whether the host is one of the authority's is up to the caller, and checked once
  /// more by whoever trusts the authority.
  result<certificate_owner> issue(std::string_view host) const;

  /// Of all certificates that it issues. Made with the object and never stored.
  EVP_PKEY* key() const noexcept { return leaf_key_.get(); }
  X509* certificate() const noexcept { return certificate_.get(); }

private:
  key_owner authority_key_;
  key_owner leaf_key_;
  certificate_owner certificate_;
};

} // namespace sandy::http::egress
