#pragma once

#include "messages/sandbox_io.hpp"
#include "runtime/entrance.hpp"

#include <memory>

namespace sandy::http {

/// Asks a port of a sandbox `GET /health`, without making the sandbox busy by that. Fails with upstream_error
/// when the answer is not 200, with sandbox_paused when the sandbox stands still and with sandbox_not_found
/// when it is gone. Takes as long as the answer does: whoever asks waits no longer than they want.
io_task<result<void>> check_health(std::shared_ptr<const runtime::entrance> to, std::uint16_t port);

} // namespace sandy::http
