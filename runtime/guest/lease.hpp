#pragma once

#include "messages/sandbox_io.hpp"

#include <chrono>
#include <string>

namespace sandy::guest {

/// Tells a guest that a server lives: it ends itself, and all that runs in its sandbox, when it does not hear
/// this again within `lease`. Fails with sandbox_ended when the guest is gone.
io_task<result<void>> renew_lease(std::string socket_path, std::chrono::milliseconds lease);

} // namespace sandy::guest
