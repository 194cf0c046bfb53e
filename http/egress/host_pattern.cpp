#include "http/egress/host_pattern.hpp"

#include "messages/network_rule.hpp"

#include <charconv>
#include <utility>

namespace sandy::http::egress {

bool is_host_name(std::string_view name) {
  auto canonical = canonical_domain(name);
  return canonical && *canonical == name;
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
  auto name = canonical_domain(pattern.below ? text.substr(2) : text);
  if (!name)
    return refused("is not a host name such as api.example.com or *.example.com");
  pattern.name = std::move(*name);
  if (pattern.below && pattern.name.find('.') == std::string::npos)
    return refused("means a whole top-level domain");
  return pattern;
}

} // namespace sandy::http::egress
