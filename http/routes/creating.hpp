#pragma once

// What all requests that make sandboxes share: a request actor that dies with its client, and undoes.

#include "http/routes/common.hpp"

namespace sandy::http::routes {

/// The parent of what is created from inside a sandbox with a key of its owner: a child, as with the
/// sandbox's own token. Empty for requests from outside.
sandbox_id parent_by_default(const exchange& ex);

/// Takes what `count` creations cost from the tenant's budget, where the route did not. Fails with
/// rate_limited.
io_task<result<void>> pay_for(context& server, tenant_id tenant, std::uint32_t count);

/// Asks a request actor of its own; when the client hangs up, what was being made is undone and it fails with
/// cancelled: then there is nobody to answer.
io_task<result<sandbox_info>> ask_to_create(exchange& ex, create_sandbox request,
                                            std::chrono::milliseconds timeout);
io_task<result<std::vector<sandbox_info>>> ask_to_create(exchange& ex, fork_sandbox request,
                                                         std::chrono::milliseconds timeout);

} // namespace sandy::http::routes
