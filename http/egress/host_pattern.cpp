#include "http/egress/host_pattern.hpp"

#include <algorithm>
#include <charconv>

namespace sandy::http::egress {

namespace {

constexpr std::size_t longest_name = 253;
constexpr std::size_t longest_label = 63;

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

bool is_label(std::string_view label) noexcept {
  auto allowed = [](char c) { return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '_'; };
  return !label.empty() && label.size() <= longest_label && label.front() != '-' && label.back() != '-' &&
         std::all_of(label.begin(), label.end(), allowed);
}

/// What resolvers take for the last part of an IPv4 address: 127.1, 2130706433 and 0x7f.1 are addresses.
bool is_number(std::string_view label) noexcept {
  return std::all_of(label.begin(), label.end(), is_digit) || label.starts_with("0x");
}

} // namespace

bool is_host_name(std::string_view name) noexcept {
  if (name.empty() || name.size() > longest_name)
    return false;
  auto rest = name;
  for (;;) {
    auto dot = rest.find('.');
    if (!is_label(rest.substr(0, dot)))
      return false;
    if (dot == std::string_view::npos)
      return !is_number(rest);
    rest.remove_prefix(dot + 1);
  }
}

bool host_pattern::names(std::string_view host) const noexcept {
  if (!below)
    return host == name;
  return host.size() > name.size() + 1 && host.ends_with(name) && host[host.size() - name.size() - 1] == '.';
}

bool host_pattern::names(std::string_view host, std::uint16_t to_port, bool tls) const noexcept {
  return to_port == port.value_or(tls ? 443 : 80) && names(host);
}

result<host_pattern> parse_host_pattern(std::string_view text) {
  auto refused = [](const char* why) { return fail(errc::invalid_argument, why); };
  host_pattern pattern;
  if (auto colon = text.find(':'); colon != std::string_view::npos) {
    auto digits = text.substr(colon + 1);
    std::uint16_t port = 0;
    auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (failed != std::errc{} || end != digits.data() + digits.size() || port == 0)
      return refused("is not a host name, or one with a port as api.example.com:8443");
    pattern.port = port;
    text = text.substr(0, colon);
  }
  pattern.below = text.starts_with("*.");
  pattern.name = plain_host(pattern.below ? text.substr(2) : text);
  if (!is_host_name(pattern.name))
    return refused("is not a host name such as api.example.com or *.example.com");
  if (pattern.below && pattern.name.find('.') == std::string::npos)
    return refused("means a whole top-level domain");
  return pattern;
}

std::string plain_host(std::string_view name) {
  if (name.ends_with('.'))
    name.remove_suffix(1);
  std::string plain{name};
  for (auto& c : plain)
    if (c >= 'A' && c <= 'Z')
      c = static_cast<char>(c - 'A' + 'a');
  return plain;
}

} // namespace sandy::http::egress
