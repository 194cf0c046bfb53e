#pragma once

#include "messages/ids.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace sandy::http {

struct request_head;

namespace ingress {

/// What a host name says of a sandbox: "3000-46da12d345fb7c0146da12d3.sandy.localhost:7330".
struct sandbox_host {
  sandbox_id id;                ///< empty: it is of no sandbox that could ever be
  std::uint16_t named_port = 0; ///< in front of the id; 0: none
  std::uint16_t host_port = 0;  ///< behind the colon; 0: none
  std::string_view suffix;      ///< of those that were given
  friend bool operator==(const sandbox_host&, const sandbox_host&) = default;
};

/// Reads `[sandbox-][PORT-]ID` + suffix + `[:PORT]`, in any case; the prefix may also stand behind the port.
/// None for a name that does not end with a suffix: it is none of a sandbox. @param suffixes with their
/// leading dots, in lower case.
std::optional<sandbox_host> parse_host(std::string_view host, std::span<const std::string> suffixes);

/// A request's sandbox, and the header that named it.
struct addressed_sandbox {
  sandbox_host host;
  std::string_view given; ///< the name as it came; part of the head
};

/// The sandbox that a request is addressed to: X-Sandy-Host, then X-Forwarded-Host (of several names the
/// first, which is the client's), then Host, as far as they name one. None: the request is for the API.
std::optional<addressed_sandbox> addressed(const request_head& head, std::span<const std::string> suffixes);

/// What choosing a port depends on.
struct port_choice {
  std::uint16_t arrival_port = 0; ///< the exposed port that the connection came to; 0: it came to the API's
  std::uint16_t public_port = 0;  ///< where the API is: a name with it is the plain public URL
  std::uint16_t runtime_port = 0;
  std::span<const std::uint16_t> exposed_ports;
};

/// A port in decimal without leading zeros; 0: it is none.
std::uint16_t port_of(std::string_view digits) noexcept;

/// The port of the sandbox that a host name means.
std::uint16_t chosen_port(const sandbox_host& host, const port_choice& choice) noexcept;

} // namespace ingress
} // namespace sandy::http
