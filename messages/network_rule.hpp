#pragma once

#include "messages/error.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sandy {

/// An IPv6 address, or an IPv4 address as ::ffff:a.b.c.d; network byte order.
using network_address = std::array<std::uint8_t, 16>;

/// The address that a text is; fails with invalid_argument for other forms than the usual ones: decimal,
/// octal and short forms of IPv4 are none.
result<network_address> parse_address(std::string_view text);
std::string to_string(const network_address& address); ///< "10.0.0.1", "fd00::1"
bool is_ipv4(const network_address& address) noexcept;

/// A host name as rules and questions are compared: lower case, without the last dot. Fails with
/// invalid_argument for what is no host name, an address included.
result<std::string> canonical_domain(std::string_view text);

/// One entry of a list of destinations: `example.com`, `*.example.com` (every name below it, not itself),
/// `93.184.216.34`, `93.184.0.0/16`, `2606:2800::/32`, each with an optional port or range of ports behind a
/// colon (`example.com:443`, `10.0.0.0/8:80-443`, `[::1]:80`).
struct network_rule {
  std::string domain; ///< canonical; empty: by address
  bool below = false; ///< stands for the names below the domain
  network_address network{};
  std::uint8_t prefix = 0; ///< bits of `network` that count, of 128
  std::uint16_t first_port = 0;
  std::uint16_t last_port = 65535;

  bool by_name() const noexcept { return !domain.empty(); }
  bool has_port(std::uint16_t port) const noexcept { return first_port <= port && port <= last_port; }
  /// @param name canonical
  bool matches(std::string_view name, std::uint16_t port) const noexcept;
  bool matches(const network_address& address, std::uint16_t port) const noexcept;
  /// Whether it matches whatever the other one does.
  bool covers(const network_rule& other) const noexcept;
};

/// Fails with invalid_argument and a sentence that names the text.
result<network_rule> parse_network_rule(std::string_view text);
result<std::vector<network_rule>> parse_network_rules(const std::vector<std::string>& texts);

} // namespace sandy
