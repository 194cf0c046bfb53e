#pragma once

#include "http/connection_stream.hpp"
#include "http/exchange.hpp"
#include "http/timed.hpp"

#include <boost/beast/websocket/stream.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace sandy::http {

/// The server's end of a WebSocket (RFC 6455) on a connection that a handler took over. Its deadlines are the
/// handler's.
using websocket = boost::beast::websocket::stream<connection_stream>;

/// Answers a request that cannot become a WebSocket: 426 for what is no upgrade or another version, 400 for a
/// handshake without its key, 403 for a page of an origin that may not call us. @return true when it
/// answered.
io_task<bool> refuse_upgrade(exchange& ex);

/// Answers 101. Sends and reads nothing of ours besides. @param subprotocol named in the answer where the
/// client offered it. Throws nothing; fails with cancelled when the client is gone, or sent something before
/// it was asked.
io_task<result<void>> accept_upgrade(exchange& ex, websocket& socket, connection& taken,
                                     std::string_view subprotocol);

/// Whether a page of this origin may call us. @param allowed empty: every origin may. @param host of the
/// request: a page from ourselves may always.
bool origin_allowed(std::string_view origin, const std::vector<std::string>& allowed, std::string_view host);

} // namespace sandy::http
