#include "messages/network_rule.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace sandy {

namespace {

constexpr network_address mapped_ipv4{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr std::size_t mapped_bytes = 12;
constexpr unsigned mapped_bits = 96;
constexpr std::size_t longest_name = 253, longest_label = 63;

caf::error wrong(std::string_view text, std::string_view why) {
  // What callers wrote is repeated, but not without a bound.
  return fail(errc::invalid_argument,
              "\"" + std::string{text.substr(0, 300)} + "\" is no destination: " + std::string{why});
}

bool same_bits(const network_address& a, const network_address& b, unsigned bits) noexcept {
  auto whole = bits / 8;
  if (std::memcmp(a.data(), b.data(), whole) != 0)
    return false;
  auto rest = bits % 8;
  return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

bool is_label(std::string_view label) noexcept {
  if (label.empty() || label.size() > longest_label || label.front() == '-' || label.back() == '-')
    return false;
  return std::all_of(label.begin(), label.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

bool number(std::string_view text, unsigned most, unsigned& value) {
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  return failed == std::errc{} && end == text.data() + text.size() && !text.empty() && value <= most;
}

/// @returns false for what is no port and no range of ports
bool read_ports(std::string_view text, network_rule& rule) {
  unsigned first = 0, last = 0;
  auto dash = text.find('-');
  if (!number(text.substr(0, dash), 65535, first))
    return false;
  last = first;
  if (dash != std::string_view::npos && !number(text.substr(dash + 1), 65535, last))
    return false;
  rule.first_port = static_cast<std::uint16_t>(first);
  rule.last_port = static_cast<std::uint16_t>(last);
  return first > 0 && first <= last;
}

} // namespace

result<network_address> parse_address(std::string_view text) {
  network_address address = mapped_ipv4;
  std::string terminated{text};
  if (terminated.size() == text.size() && terminated.find('\0') == std::string::npos) {
    if (::inet_pton(AF_INET, terminated.c_str(), address.data() + mapped_bytes) == 1)
      return address;
    if (::inet_pton(AF_INET6, terminated.c_str(), address.data()) == 1)
      return address;
  }
  return fail(errc::invalid_argument, "No IP address");
}

std::string to_string(const network_address& address) {
  char text[INET6_ADDRSTRLEN]{};
  if (is_ipv4(address))
    ::inet_ntop(AF_INET, address.data() + mapped_bytes, text, sizeof text);
  else
    ::inet_ntop(AF_INET6, address.data(), text, sizeof text);
  return text;
}

bool is_ipv4(const network_address& address) noexcept {
  return std::memcmp(address.data(), mapped_ipv4.data(), mapped_bytes) == 0;
}

result<std::string> canonical_domain(std::string_view text) {
  auto refused = [] { return fail(errc::invalid_argument, "No host name"); };
  if (text.ends_with('.'))
    text.remove_suffix(1);
  if (text.empty() || text.size() > longest_name)
    return refused();
  std::string name{text};
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  std::string_view rest = name, label;
  for (;;) {
    auto dot = rest.find('.');
    label = rest.substr(0, dot);
    if (!is_label(label))
      return refused();
    if (dot == std::string_view::npos)
      break;
    rest.remove_prefix(dot + 1);
  }
  // Programs take names that end in a number for addresses, in forms that nobody else knows (0x7f.1,
  // 017700000001).
  auto digits = label.starts_with("0x") ? label.substr(2) : label;
  auto base = label.starts_with("0x") ? "0123456789abcdef" : "0123456789";
  if (digits.find_first_not_of(base) == std::string_view::npos)
    return refused();
  return name;
}

bool network_rule::matches(std::string_view name, std::uint16_t port) const noexcept {
  if (!by_name() || !has_port(port))
    return false;
  if (!below)
    return name == domain;
  return name.size() > domain.size() && name.ends_with(domain) &&
         name[name.size() - domain.size() - 1] == '.';
}

bool network_rule::matches(const network_address& address, std::uint16_t port) const noexcept {
  // A range of IPv6 has no IPv4 addresses, though ours are written as some of it.
  return !by_name() && has_port(port) && same_bits(network, address, prefix) &&
         (prefix >= mapped_bits || !is_ipv4(address));
}

bool network_rule::covers(const network_rule& other) const noexcept {
  if (by_name() != other.by_name() || other.first_port < first_port || other.last_port > last_port)
    return false;
  if (!by_name()) {
    const auto other_is_ipv4 = other.prefix >= mapped_bits && is_ipv4(other.network);
    return prefix <= other.prefix && same_bits(network, other.network, prefix) &&
           (prefix >= mapped_bits || !other_is_ipv4);
  }
  if (below && other.below && domain == other.domain)
    return true;
  return matches(other.domain, other.first_port) && (below || !other.below);
}

result<network_rule> parse_network_rule(std::string_view text) {
  network_rule rule;
  auto host = text, ports = std::string_view{};
  auto bracket = text.starts_with('[') ? text.find(']') : std::string_view::npos;
  // The colons of an IPv6 address without brackets are its own.
  const auto colon = bracket != std::string_view::npos ? text.find(':', bracket) : text.find(':');
  const auto bare_v6 = bracket == std::string_view::npos && colon != text.rfind(':');
  if (colon != std::string_view::npos && !bare_v6) {
    host = text.substr(0, colon);
    ports = text.substr(colon + 1);
    if (!read_ports(ports, rule))
      return wrong(text, "the port must be 1 to 65535, or a range of those such as 80-443");
  }
  auto slash = host.rfind('/');
  auto address = host.substr(0, slash);
  auto bits = slash == std::string_view::npos ? std::string_view{} : host.substr(slash + 1);
  if (bracket != std::string_view::npos) { // [::1]:80, [fd00::/8]:80 and [fd00::]/8:80
    auto inside = text.substr(1, bracket - 1);
    auto behind = host.substr(bracket + 1);
    slash = inside.find('/');
    address = inside.substr(0, slash);
    bits = slash == std::string_view::npos ? std::string_view{} : inside.substr(slash + 1);
    if (behind.starts_with('/') && slash == std::string_view::npos) {
      bits = behind.substr(1);
      slash = 0;
    } else if (!behind.empty())
      return wrong(text, "something follows the address");
  }
  if (auto found = parse_address(address)) {
    const unsigned most = is_ipv4(*found) && address.find(':') == std::string_view::npos ? 32 : 128;
    unsigned length = most;
    if (slash != std::string_view::npos && !number(bits, most, length))
      return wrong(text, "the length of the prefix is out of range");
    rule.network = *found;
    rule.prefix = static_cast<std::uint8_t>(most == 32 ? length + mapped_bits : length);
    return rule;
  }
  if (slash != std::string_view::npos || bracket != std::string_view::npos)
    return wrong(text, "it has no address such as 93.184.0.0/16 or 2606:2800::/32");
  rule.below = host.starts_with("*.");
  auto name = canonical_domain(rule.below ? host.substr(2) : host);
  if (!name)
    return wrong(text, "it is neither a host name nor an address");
  rule.domain = std::move(*name);
  return rule;
}

result<std::vector<network_rule>> parse_network_rules(const std::vector<std::string>& texts) {
  std::vector<network_rule> rules;
  rules.reserve(texts.size());
  for (const auto& text : texts) {
    auto rule = parse_network_rule(text);
    if (!rule)
      return std::move(rule.error());
    rules.push_back(std::move(*rule));
  }
  return rules;
}

} // namespace sandy
