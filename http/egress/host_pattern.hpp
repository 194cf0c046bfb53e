#pragma once

#include "messages/error.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sandy::http::egress {

/// Which hosts a secret is for: "api.example.com", or "*.example.com" for every name below example.com but
/// not itself; with ":8443" for that port, else for the usual one of the protocol.
struct host_pattern {
  std::string name;                  ///< canonical, without "*."
  bool below = false;                ///< the names below `name`, not itself
  std::optional<std::uint16_t> port; ///< none: 443 for https, 80 for http

  /// Whether the host of that name is meant, on any port. @param host canonical
  bool names(std::string_view host) const noexcept;
  /// Whether a connection is meant.
  bool names(std::string_view host, std::uint16_t to_port, bool tls) const noexcept;
};

/// Reads a pattern. Fails with invalid_argument and half a sentence ("is not ..."): for what is no name of
/// the domain system, for addresses in any spelling, and for a "*" that would mean a whole top-level domain.
result<host_pattern> parse_host_pattern(std::string_view text);

/// Whether this is a canonical name of the domain system, and no address in any spelling.
bool is_host_name(std::string_view name);

} // namespace sandy::http::egress
