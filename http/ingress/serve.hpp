#pragma once

#include "http/router.hpp"

#include <cstdint>

namespace sandy::http::ingress {

/// Serves every request that bears a sandbox's host name, whatever its method and path. Its pattern is the
/// label in metrics.
extern const route host_route;

/// ANY /api/sandboxes/{id}/proxy/{port}/{path...}: any port of a sandbox that the caller reaches.
io_task<void> serve_port_path(exchange& ex);

/// ANY /sandbox/{id}/{path...}: the runtime port, for everybody.
io_task<void> serve_sandbox_path(exchange& ex);

/// ANY /vnc/{id}/{path...}: the pages of its desktop and their WebSocket, `websockify`.
io_task<void> serve_desktop_path(exchange& ex);

} // namespace sandy::http::ingress
