#include "http/ingress/gate.hpp"

#include "http/context.hpp"
#include "http/ingress/access.hpp"
#include "http/ingress/passed_head.hpp"
#include "http/request_head.hpp"

#include <algorithm>

namespace sandy::http::ingress {

namespace {

bool has(const std::vector<std::uint16_t>& ports, std::uint16_t port) noexcept {
  return std::ranges::find(ports, port) != ports.end();
}

/// Sends a browser to the same page, with the signature in a cookie. None for what no browser navigates to.
std::optional<header_list> redirect(exchange& ex, const std::string& target, const std::string& access,
                                    std::uint16_t port, std::string_view cookie_path, unix_millis lasts) {
  if ((ex.method() != "GET" && ex.method() != "HEAD") || wants_upgrade(ex.head()))
    return std::nullopt;
  auto cookie = std::string{access_cookie} + std::to_string(port) + "=" + access +
                "; Path=" + std::string{cookie_path} +
                "; Max-Age=" + std::to_string(std::max<unix_millis>(1, lasts / 1000)) + "; HttpOnly";
  // A preview is shown in frames of other sites; browsers take that from secure ones only.
  cookie += ex.server().address.scheme == "https" ? "; Secure; SameSite=None" : "; SameSite=Lax";
  return header_list{{"Location", target}, {"Set-Cookie", std::move(cookie)}, {"Cache-Control", "no-store"}};
}

} // namespace

result<gate_pass> pass_gate(exchange& ex, const runtime::entrance& to, std::uint16_t port,
                            std::string_view target, std::string_view cookie_path) {
  const auto guarded = has(to.private_ports, port);
  const auto exposed = port == to.runtime_port || has(to.exposed_ports, port);
  auto [rest, access] = take_access(target);
  if (exposed && !guarded)
    return gate_pass{std::move(rest), std::nullopt};
  const auto now = unix_now();
  const auto& signer = ex.server().ports;
  if (access) {
    auto until = signer.good_until(*access, to.id, port, now);
    if (!until)
      return fail(errc::forbidden, "The signature of this URL is not valid, or has expired");
    if (rest.starts_with("//")) // would lead to another host
      return fail(errc::invalid_argument, "The request target is not valid");
    auto elsewhere = redirect(ex, rest, *access, port, cookie_path, *until - now);
    return gate_pass{std::move(rest), std::move(elsewhere)};
  }
  if (signer.good_until(access_cookie_of(ex.header("Cookie"), port), to.id, port, now))
    return gate_pass{std::move(rest), std::nullopt};
  if (guarded)
    return fail(errc::forbidden, "Port " + std::to_string(port) +
                                     " of this sandbox is private: POST /api/sandboxes/{id}/preview gives a "
                                     "signed URL");
  return fail(errc::port_not_exposed, "Port " + std::to_string(port) + " of this sandbox is not exposed");
}

} // namespace sandy::http::ingress
