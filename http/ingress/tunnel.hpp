#pragma once

#include "http/connection.hpp"
#include "http/exchange.hpp"

#include <string_view>

namespace sandy::http::ingress {

/// Sends `greeting` to the client, then moves bytes both ways until both sides have ended, as long as that
/// takes: a WebSocket may be silent for hours. A side that stops sending is told to the other, which may go
/// on; one that breaks, or vanishes, breaks the other. A slow reader slows its writer. A server that stops
/// ends both sides properly when its grace is over.
io_task<void> tunnel(exchange& ex, connection& client, connection& application, std::string_view greeting);

} // namespace sandy::http::ingress
