#include "http/client/address.hpp"

#include "http/outbound/webhook_client.hpp"

#include <charconv>

namespace sandy::http::client {

std::string authority_of(const address& to) {
  if (to.host.empty())
    return "localhost:" + std::to_string(to.port);
  auto text = to.host.find(':') == std::string::npos ? to.host : "[" + to.host + "]";
  if (to.port != (to.tls ? 443 : 80))
    text.append(":").append(std::to_string(to.port));
  return text;
}

result<url> parse_url(std::string_view text) {
  auto parts = outbound::parse_webhook_url(text);
  if (!parts)
    return std::move(parts.error());
  url made;
  const auto* end = parts->port.data() + parts->port.size();
  auto [rest, wrong] = std::from_chars(parts->port.data(), end, made.to.port);
  if (wrong != std::errc{} || rest != end || made.to.port == 0)
    return fail(errc::invalid_argument, "has no port from 1 to 65535");
  made.to.host = std::move(parts->host);
  made.to.tls = parts->tls;
  made.path = std::move(parts->target);
  return made;
}

} // namespace sandy::http::client
