#pragma once

#include "http/egress/interception.hpp"
#include "http/relay/relayed.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace sandy::http::egress {

/// A connection that the policy allows and a secret is for.
struct intercepted_connection {
  std::shared_ptr<relay::relayed> pair; ///< both sides connected; whoever cuts it ends the relaying
  std::shared_ptr<interception> secrets;
  std::shared_ptr<tls_sides> tls; ///< null: plain HTTP
  std::string host;               ///< canonical; `secrets` wants it
  std::uint16_t port = 0;
  std::string begun;                              ///< what was read from the near side already
  std::function<bool(std::size_t)> sent;          ///< counts bytes of the sandbox; false: no more may pass
  std::function<bool(std::size_t)> received = {}; ///< those for it
};

/// What came of one.
struct interception_outcome {
  std::uint64_t requests = 0;
  std::uint64_t requests_with_secrets = 0;
  std::optional<caf::error> refused; ///< what the sandbox was told, if a request was not passed on
};

/// Relays a connection of a sandbox until it is over, and puts secrets into its requests. Where the
/// connection has TLS, the sandbox sees a certificate of its own authority, and the host's is verified by
/// the machine's. Answers are passed on as they come. Leaves both sides closed.
io_task<interception_outcome> relay_with_secrets(intercepted_connection what);

} // namespace sandy::http::egress
