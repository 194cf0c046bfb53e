#pragma once

#include "messages/error.hpp"

#include <chrono>
#include <string>

namespace sandy::guest {

/// Asks the guest behind a socket whether it answers, and speaks our version of the protocol. Blocks up to
/// `timeout`. Fails with sandbox_failed.
result<void> ping_blocking(const std::string& socket_path, std::chrono::milliseconds timeout);

} // namespace sandy::guest
