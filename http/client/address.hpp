#pragma once

#include "messages/error.hpp"
#include "runtime/entrance.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace sandy::http::client {

/// Where a server is: a host of the world, a port of a sandbox, or another node.
struct address {
  /// @param inside the way into the sandbox
  static address in_sandbox(std::shared_ptr<const runtime::entrance> inside, std::uint16_t port) {
    return {{}, port, false, std::move(inside)};
  }
  /// @param host, port where the node listens for the others. It is spoken to within TLS, as a node: see
  /// `context::node_credentials`.
  static address of_node(std::string host, std::uint16_t port) {
    return {std::move(host), port, false, nullptr, true};
  }

  std::string host; ///< a name or an IP address, without brackets; empty: in a sandbox
  std::uint16_t port = 0;
  bool tls = false;
  std::shared_ptr<const runtime::entrance> inside; ///< nullptr: in the world
  bool node = false;                               ///< of our cluster, whatever `tls` says

  friend bool operator==(const address&, const address&) = default;
};

/// As the Host field names it: without the port that goes without saying.
std::string authority_of(const address& to);

/// The parts of a URL that the server is to ask.
struct url {
  address to;
  std::string path; ///< and query; begins with a slash
};

/// Reads an http or https URL. Fails with invalid_argument and half a sentence ("is not ...").
result<url> parse_url(std::string_view text);

} // namespace sandy::http::client
