#pragma once

#include "messages/error.hpp"

#include <chrono>
#include <string>

namespace sandy::guest {

/// Asks the guest behind a socket whether it answers, and speaks our version of the protocol. Blocks up to
/// `timeout`. Fails with sandbox_failed.
result<void> ping_blocking(const std::string& socket_path, std::chrono::milliseconds timeout);

/// Asks a guest how long ago a process that was asked for was last seen to start, write or end; nothing while
/// a foreground one runs. Blocks up to `timeout`. Fails with sandbox_failed.
result<std::chrono::milliseconds> quiet_time_blocking(const std::string& socket_path,
                                                      std::chrono::milliseconds timeout);

} // namespace sandy::guest
