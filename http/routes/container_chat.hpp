#pragma once

#include "http/exchange.hpp"
#include "messages/container.hpp"

namespace sandy::http::routes {

/// The container that `{id}` and `{cid}` name; counts as use of its sandbox.
io_task<result<container_info>> opened_container(exchange& ex);

/// Passes a chat request on to a container, and the answer back: status and content type as they are. A
/// stream of events is sent as it comes, with comments while it is silent, and ends with one `data: [DONE]`,
/// whatever became of it.
io_task<result<void>> chat(exchange& ex);

} // namespace sandy::http::routes
