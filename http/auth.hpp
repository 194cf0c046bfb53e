#pragma once

#include "messages/error.hpp"
#include "messages/ids.hpp"

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sandy::http {

/// A key as an operator configures it. @param secret the key itself, or "sha256:" and the 64 hex digits of
/// its digest.
struct configured_key {
  tenant_id tenant;
  std::string secret;
  bool admin = false; ///< may change limits
};

/// The keys that we know, as digests: a leaked memory image or log names no key. Immutable, so any thread may
/// ask.
class key_ring {
public:
  /// Fails with invalid_argument for an empty key, an empty tenant or a malformed digest; the sentence names
  /// the tenant.
  static result<key_ring> load(const std::vector<configured_key>& keys);

  /// Whose key this is. Compares with every entry, whether or not one matched: time tells nothing about the
  /// keys.
  std::optional<principal> owner(std::string_view key) const;
  bool empty() const noexcept { return entries_.empty(); }

private:
  using digest = std::array<unsigned char, 32>;
  struct entry {
    principal owner;
    digest key;
  };
  std::vector<entry> entries_;
};

/// The token of an `Authorization: Bearer <token>` header value; the scheme in any case. Empty for anything
/// else.
std::string_view bearer_token(std::string_view authorization) noexcept;

/// The entries of a Sec-WebSocket-Protocol header, in its order.
std::vector<std::string_view> offered_subprotocols(std::string_view header);

/// The key that a page in a browser offers among the subprotocols of a WebSocket, where it can set no header:
/// "sandy.bearer." and the key in base64url (RFC 4648, section 5), without padding. Empty: there is none.
std::string subprotocol_key(std::string_view header);

} // namespace sandy::http
