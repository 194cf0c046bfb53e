#pragma once

#include "http/exchange.hpp"
#include "runtime/entrance.hpp"

#include <memory>

namespace sandy::http::ingress {

/// A sandbox that somebody is let into; it is busy meanwhile.
struct visit {
  std::shared_ptr<runtime::entrance> to;
  runtime::guest_use use;
};

/// Lets a request into a sandbox, and wakes one that fell asleep. Fails with sandbox_not_found, with
/// sandbox_paused when a caller paused it, and for now while it starts, or when an eighth of all connections
/// are at this sandbox already: its visitors must not keep everybody else out.
io_task<result<visit>> enter(exchange& ex, sandbox_id id);

} // namespace sandy::http::ingress
