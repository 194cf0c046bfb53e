#pragma once

#include "certificates/x509.hpp"

#include <string>

namespace sandy::certificates {

/// The texts of two PEM files that belong together.
struct certified_key {
  std::string certificate;
  std::string key;
  std::string last_day; ///< of the certificate, in UTC: "2028-08-20"
};

/// How long nodes can trust an authority: ten years, with their leap days.
inline constexpr int cluster_authority_days = 3653;
/// Browsers' bound of 2020, widely taken for the longest that a host's certificate should live.
inline constexpr int usual_node_days = 825;

/// A new authority that vouches for the nodes of one cluster, "Sandy cluster authority". A key on the curve
/// P-256, backdated by minutes, since clocks of machines differ. Fails with internal (OpenSSL's words).
result<certified_key> make_cluster_authority();

/// Whether a node may have this name: a host name in lower case, as "worker-1" or "w1.example.com", of at
/// most 64 bytes, which is what the name in a certificate can have (RFC 5280, appendix A.1).
bool is_node_name(const std::string& name);

/// An authority at work. Not thread safe.
class cluster_authority {
public:
  /// Fails with internal for what is no authority's certificate with its key.
  static result<cluster_authority> from(const certified_key& texts);

  /// A new key of a node with a certificate that is good for both sides of a connection, by the name of the
  /// node. The authority signs it itself, so nobody needs more of a chain than the authority. Fails with
  /// invalid_argument for what is no node's name, and for a certificate that would outlive the authority, as
  /// peers would then refuse it without a visible reason; with internal for failures of OpenSSL.
  result<certified_key> issue(const std::string& node, int days) const;

private:
  certificate_owner certificate_;
  key_owner key_;
};

} // namespace sandy::certificates
