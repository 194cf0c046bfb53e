#pragma once

#include "actors/services.hpp"
#include "messages/sandbox.hpp"

namespace sandy {

/// What a caller asked for, completed by the flavor's and the worker's defaults and cut to the worker's maxima.
resource_limits effective_limits(const resource_limits& asked, const resource_limits& of_flavor,
                                 const worker_settings& settings);

/// Lifetime in seconds: the default for 0, cut to the maximum.
std::uint32_t effective_ttl(std::uint32_t asked_seconds, const worker_settings& settings);

} // namespace sandy
