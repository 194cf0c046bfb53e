#include "http/ingress/visit.hpp"

#include "coro/ask.hpp"
#include "http/context.hpp"

#include <algorithm>
#include <cstdint>

namespace sandy::http::ingress {

using runtime::entrance_state;

namespace {

/// Of all connections, one part in so many is for the visitors of one sandbox.
constexpr std::uint32_t parts = 8;
/// A server for few has room for a page's worth of them.
constexpr std::uint32_t least_share = 16;

caf::error unknown() { return fail(errc::sandbox_not_found, "Sandbox not found"); }

} // namespace

io_task<result<visit>> enter(exchange& ex, sandbox_id id) {
  auto& server = ex.server();
  auto found = server.entrances != nullptr ? server.entrances->find(id) : nullptr;
  if (!found)
    co_return unknown();
  if (found->state == entrance_state::starting)
    co_return fail_for_now(errc::capacity_exhausted, "The sandbox is still starting", 1);
  visit made{found, runtime::guest_use{found->uses}};
  if (found->uses->count() > std::max(server.limits.connections / parts, least_share))
    co_return fail_for_now(errc::capacity_exhausted, "Too many connections to this sandbox", 1);
  while (found->state == entrance_state::asleep) {
    auto woken = co_await ask(server.worker, open_sandbox{principal{found->tenant}, id},
                              server.limits.control_timeout);
    if (!woken)
      co_return std::move(woken.error());
  }
  if (found->state == entrance_state::paused)
    co_return fail(errc::sandbox_paused,
                   "The sandbox is paused: POST /api/sandboxes/{id}/resume lets it go on");
  if (found->state == entrance_state::gone)
    co_return unknown();
  co_return made;
}

} // namespace sandy::http::ingress
