#pragma once

#include "http/exchange.hpp"
#include "runtime/entrance.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sandy::http::ingress {

/// What a request without credentials may do.
struct gate_pass {
  std::string target;                  ///< without our parameter
  std::optional<header_list> redirect; ///< the browser is sent there with a cookie instead
};

/// Decides whether everybody may reach this port, or this request may: the runtime port and exposed ports are
/// everybody's unless they are private; every other port, and a private one, takes a signature in the query
/// or in our cookie. Fails with port_not_exposed and, for a private port or a signature that is not good,
/// with forbidden.
/// @param cookie_path of the cookie that a browser gets for its signature.
result<gate_pass> pass_gate(exchange& ex, const runtime::entrance& to, std::uint16_t port,
                            std::string_view target, std::string_view cookie_path);

} // namespace sandy::http::ingress
