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

} // namespace sandy::http
