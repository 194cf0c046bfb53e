#pragma once

#include "actors/services.hpp"
#include "messages/sandbox.hpp"

namespace sandy {

/// What a caller asked for, completed by the flavor's and the worker's defaults and cut to the worker's
/// maxima.
resource_limits effective_limits(const resource_limits& asked, const resource_limits& of_flavor,
                                 const worker_settings& settings);

/// A child's: what was asked for, else the parent's, and never more than those.
resource_limits child_limits(const resource_limits& asked, const resource_limits& of_parent);

/// Lifetime in seconds: the default for 0, cut to the maximum. A child has its own default and maximum.
std::uint32_t effective_ttl(std::uint32_t asked_seconds, bool is_child, const worker_settings& settings);

/// Cuts a lease to what the hard maximum leaves of it, counted from `created_at`, and tells that end.
void bound_lease(sandbox_info& info, const worker_settings& settings);

/// Names the driver that is to make the sandbox, in `into`: Docker's where the engine's socket is wanted, or
/// an `upstream` that begins with "docker"; where there is none, the usual one, for an upstream is a
/// preference. A sandbox that asks never gets the engine's socket.
void choose_runtime(const create_sandbox& request, const runtime_settings& settings, sandbox_info& into);

} // namespace sandy
