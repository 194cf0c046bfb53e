#pragma once

#include "http/codec/create.hpp"
#include "http/exchange.hpp"
#include "messages/sandbox.hpp"

#include <optional>
#include <string>

namespace sandy::http::routes {

/// Before a creation: gives a request that wants a desktop the image that has one, unless it names another,
/// and opens the desktop's port. What cannot be had becomes a warning. @return whether to start the desktop.
io_task<bool> plan_desktop(exchange& ex, codec::create_request& request);

/// Starts the desktop of a sandbox that was made as planned. Returns at once: its windows take seconds.
/// @return what went wrong, a sentence for the warnings; empty: nothing.
io_task<std::string> start_desktop(exchange& ex, const sandbox_info& made,
                                   const codec::create_request& request);

/// The size of the desktop that runs, "1280x720"; none: there is none.
io_task<result<std::optional<std::string>>> running_desktop(exchange& ex);

} // namespace sandy::http::routes
