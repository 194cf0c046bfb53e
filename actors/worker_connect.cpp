#include "actors/switchboard.hpp"
#include "actors/worker.hpp"
#include "coro/request.hpp"
#include "metrics/log.hpp"

#include <algorithm>

namespace sandy {

// The worker's side of connections: it knows who may connect what, and tells the switchboard who lives.

namespace {

using namespace std::chrono_literals;

/// Until a sandbox that ends goes on although its connections hang.
constexpr auto leave_timeout = 10s;

} // namespace

void worker_state::spawn_switchboard() {
  switchboard_ = self_->spawn<coro::actor<switchboard_state, switchboard_actor>>(&env_);
  self_->monitor(switchboard_);
}

bool worker_state::switchboard_down(const caf::down_msg& down) {
  if (!switchboard_ || down.source != switchboard_.address())
    return false;
  log_event(log_level::error, "switchboard_died", {{"reason", self_->system().render(down.reason)}});
  spawn_switchboard();
  coro::spawn(restore_connections());
  return true;
}

coro::task<void> worker_state::restore_connections() {
  sandy::restore_connections request;
  for (const auto& [id, each] : live_)
    if (each.ready && !each.warm && each.ending == end_reason::none)
      request.living.push_back(id);
  auto restored = co_await coro::request(switchboard_, coro::infinite, std::move(request));
  if (!restored)
    log_event(log_level::error, "connections_not_restored", {{"error", text_of(restored.error())}});
  co_return caf::unit;
}

/// Whether a caller may connect something to this sandbox, or it to something.
bool worker_state::connectable(const principal& caller, const sandbox_id& id) {
  const auto* found = find(caller, id);
  return found != nullptr && found->ready && found->ending == end_reason::none;
}

caf::result<sandbox_connection> worker_state::connect(connect_sandboxes request) {
  if (!connectable(request.caller, request.id) || !connectable(request.caller, request.target))
    return no_such_sandbox();
  if (request.id == request.target)
    return fail(errc::invalid_argument, "A sandbox cannot be connected to itself");
  return self_->delegate(switchboard_, std::move(request));
}

caf::result<void> worker_state::disconnect(disconnect_sandboxes request) {
  if (find(request.caller, request.id) == nullptr || find(request.caller, request.target) == nullptr)
    return no_such_sandbox();
  return self_->delegate(switchboard_, std::move(request));
}

caf::result<std::vector<sandbox_connection>> worker_state::connections(list_connections request) {
  if (find(request.caller, request.id) == nullptr)
    co_return no_such_sandbox();
  auto all = co_await coro::request(switchboard_, coro::infinite, request);
  if (all) // a sandbox's token does not show who else its owner has
    std::erase_if(*all, [&](const auto& each) {
      return find(request.caller, each.source) == nullptr || find(request.caller, each.target) == nullptr;
    });
  co_return std::move(all);
}

result<void> worker_state::may_connect(const create_sandbox& request) {
  if (request.connect_to.size() > env_.settings.max_connections)
    return fail(errc::limit_reached, "A sandbox is connected to at most " +
                                         std::to_string(env_.settings.max_connections) + " others");
  if (std::all_of(request.connect_to.begin(), request.connect_to.end(),
                  [&](const auto& id) { return connectable(request.caller, id); }))
    return caf::unit;
  return no_such_sandbox();
}

/// Connects a sandbox that was just made to what its creator wanted; ends it when it cannot.
coro::task<sandbox_info> worker_state::connect_new(principal caller, sandbox_info made,
                                                   std::vector<sandbox_id> targets) {
  result<void> outcome = caf::unit;
  for (const auto& target : targets) {
    auto entry = live_.find(made.id);
    if (entry == live_.end() || entry->second.ending != end_reason::none || !connectable(caller, target)) {
      outcome = no_such_sandbox();
      break;
    }
    auto joined =
        co_await coro::request(switchboard_, coro::infinite, connect_sandboxes{caller, made.id, target});
    if (!joined) {
      outcome = std::move(joined.error());
      break;
    }
  }
  if (outcome)
    co_return std::move(made);
  if (auto entry = live_.find(made.id); entry != live_.end()) {
    auto handle = entry->second.handle;
    co_await coro::request(handle, coro::infinite, end_sandbox{end_reason::failed});
  }
  co_return std::move(outcome.error());
}

/// Tells the switchboard; returns when nothing of ours holds the sandbox's network for a connection.
coro::task<void> worker_state::leave_connections(sandbox_id id) {
  co_await coro::request(switchboard_, leave_timeout, sandbox_left{std::move(id)});
  co_return caf::unit;
}

} // namespace sandy
