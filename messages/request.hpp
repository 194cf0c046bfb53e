#pragma once

// Conversation: edge -> request actor. One per HTTP request that changes something over several steps; ended
// by the session when its client hangs up, and everything it was waiting for ends with it.

#include "messages/worker.hpp"

namespace sandy {

/// Creates sandboxes on behalf of one client. Killed before it answered, it leaves none behind.
using create_request_actor = caf::typed_actor<caf::replies_to<create_sandbox>::with<sandbox_info>,
                                              caf::replies_to<fork_sandbox>::with<std::vector<sandbox_info>>>;

} // namespace sandy
