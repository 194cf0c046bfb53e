#pragma once

#include "messages/ids.hpp"
#include "messages/sandbox.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sandy::http::ingress {

/// What the names of our cookies begin with; a port follows. The cookie and the query parameter hold a
/// signature and never reach an application.
inline constexpr std::string_view access_cookie = "sandy-access-";
inline constexpr std::string_view access_parameter = "sandy_access";

/// Signs who may reach one port of one sandbox until when (HMAC-SHA256): whoever has the signature. Nothing
/// is stored, so it cannot be taken back before its time. Immutable, so any thread may ask.
class port_signer {
public:
  /// @param secret of this installation; empty: nothing is signed, and no signature is good.
  explicit port_signer(std::string secret = {})
      : secret_(std::move(secret)) {}

  /// "EXPIRY.SIGNATURE": milliseconds since the epoch, and hex digits. Empty without a secret.
  std::string sign(const sandbox_id& id, std::uint16_t port, unix_millis expires_at) const;
  /// When a signature for this port ends; none when it is not ours, or has ended. Takes the same time for
  /// every signature.
  std::optional<unix_millis> good_until(std::string_view token, const sandbox_id& id, std::uint16_t port,
                                        unix_millis now) const;

private:
  std::string secret_;
};

/// The value of our cookie for this port in a Cookie header; empty: there is none.
std::string_view access_cookie_of(std::string_view cookies, std::uint16_t port);

/// A target without our parameter, and that parameter's value.
struct split_target {
  std::string target;
  std::optional<std::string> access;
};
split_target take_access(std::string_view path_and_query);

} // namespace sandy::http::ingress
