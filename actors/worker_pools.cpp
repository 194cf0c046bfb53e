#include "actors/limits.hpp"
#include "actors/warm_pool.hpp"
#include "actors/worker.hpp"
#include "coro/request.hpp"
#include "metrics/log.hpp"

#include <caf/send.hpp>

#include <algorithm>

namespace sandy {

// The worker's side of warm pools: it owns the sandboxes, the pools say which is next.

namespace {

using namespace std::chrono_literals;

/// A pool answers at once; without an answer a caller is served by a creation.
constexpr auto take_timeout = 1s;
/// Members tried before a creation: more than one dead member in a row means that something else is wrong.
constexpr int claim_tries = 3;

caf::error no_member() { return fail(errc::capacity_exhausted, "No warm sandbox"); }

} // namespace

void worker_state::spawn_pool(const std::string& kind) {
  auto handle = self_->spawn<coro::actor<warm_pool_state, warm_pool_actor>>(&env_, kind, worker_actor{self_});
  self_->monitor(handle);
  pools_[kind] = {handle, pool_health{kind, 0, env_.settings.flavors.at(kind).warm, 0, 0, 0, 0}};
}

bool worker_state::pool_down(const caf::down_msg& down) {
  for (auto& [kind, each] : pools_)
    if (each.handle.address() == down.source) {
      log_event(log_level::error, "warm_pool_died",
                {{"flavor", kind}, {"reason", self_->system().render(down.reason)}});
      spawn_pool(kind);
      offer_found_members();
      return true;
    }
  return false;
}

void worker_state::pool_changed(pool_health numbers) {
  if (auto known = pools_.find(numbers.flavor); known != pools_.end())
    known->second.numbers = std::move(numbers);
}

std::vector<pool_health> worker_state::pool_numbers() const {
  std::vector<pool_health> all;
  for (const auto& each : pools_)
    all.push_back(each.second.numbers);
  return all;
}

std::uint32_t worker_state::claimed() const { return static_cast<std::uint32_t>(live_.size()) - warm_; }

/// Hands the members that a previous server, or a pool that crashed, left to their pool; ends those that have
/// none any more.
void worker_state::offer_found_members() {
  for (const auto& [id, each] : live_) {
    if (!each.warm || each.ending != end_reason::none)
      continue;
    if (auto known = pools_.find(each.flavor); known != pools_.end())
      caf::anon_send(known->second.handle, warm_found{id, each.created_at});
    else
      retire(id);
  }
}

void worker_state::leave_pool(const sandbox_id& id, const child& dead) {
  if (!dead.warm)
    return;
  if (auto known = pools_.find(dead.flavor); known != pools_.end())
    caf::anon_send(known->second.handle, warm_ended{id});
}

void worker_state::retire(const sandbox_id& id) {
  if (auto entry = live_.find(id); entry != live_.end() && entry->second.warm)
    caf::anon_send(entry->second.handle, end_sandbox{end_reason::terminated});
}

/// Makes room for a caller. @returns whether a member was there to end.
bool worker_state::evict_warm() {
  for (auto& [id, each] : live_)
    if (each.warm && each.ready && each.ending == end_reason::none) {
      each.ending = end_reason::terminated;
      retire(id);
      return true;
    }
  return false;
}

caf::result<sandbox_id> worker_state::make_warm(create_warm request) {
  if (!accepting_)
    co_return fail(errc::shutting_down, "The server is shutting down");
  auto record = blank(request.flavor);
  if (creating_ >= env_.settings.create_concurrency || making_ >= env_.settings.create_concurrency ||
      room_.short_of() || room_.over(promised() + held_by_warm() + amounts_of(record.info.limits)))
    co_return fail(errc::capacity_exhausted, "Callers need the machine");
  record.info.ttl_seconds = request.ttl_seconds;
  record.info.expires_at = record.info.created_at + 1000ll * request.ttl_seconds;
  record.uid_slot = free_slot();
  auto id = record.info.id;
  auto handle = spawn_sandbox(record, nullptr);
  set_warm(live_.at(id), true);
  ++making_;
  auto made = co_await coro::request(handle, coro::infinite, start_sandbox{});
  end_turn();
  if (!made)
    co_return std::move(made.error());
  auto entry = live_.find(id);
  if (entry == live_.end())
    co_return fail(errc::sandbox_ended, "sandbox ended");
  entry->second.ready = true;
  co_return std::move(id);
}

void worker_state::set_warm(child& entry, bool warm) {
  if (entry.warm != warm)
    warm ? ++warm_ : --warm_;
  entry.warm = warm;
}

/// Whether a member can become what a caller wants: all but its image and its disk can be changed.
bool worker_state::fits_warm(const sandbox_record& wanted) const {
  if (!pools_.contains(wanted.info.flavor))
    return false;
  const auto& kind = env_.settings.flavors.at(wanted.info.flavor);
  auto usual = effective_limits({}, kind.limits, env_.settings);
  return wanted.layer.value.empty() && wanted.info.image == kind.image &&
         wanted.info.runtime == env_.settings.runtimes.usual && !wanted.info.docker_socket &&
         wanted.info.limits.disk_bytes == usual.disk_bytes;
}

coro::task<sandbox_info> worker_state::claim(sandbox_record wanted, std::shared_ptr<creation> order) {
  for (int tries = 0; tries < claim_tries; ++tries) {
    auto pool = pools_.at(wanted.info.flavor).handle;
    auto taken = co_await coro::request(pool, take_timeout, take_warm{});
    if (!taken || taken->value.empty())
      co_return no_member();
    auto entry = live_.find(*taken);
    if (entry == live_.end() || !entry->second.warm || entry->second.ending != end_reason::none)
      continue; // it ended on its way to us
    auto& member = entry->second;
    if (order->abandoned) {
      caf::anon_send(pool, warm_found{*taken, member.created_at});
      co_return fail(errc::cancelled, "The caller went away");
    }
    if (!parent_lives(wanted.info)) { // it ended while the pool was asked: nobody would end this child
      caf::anon_send(pool, warm_found{*taken, member.created_at});
      co_return no_such_sandbox();
    }
    auto planned = std::exchange(wanted.info.id, *taken);
    const auto& info = wanted.info;
    set_warm(member, false);
    member.ready = false;
    member.tenant = info.tenant;
    member.parent = info.parent;
    member.limits = info.limits;
    member.priority = info.priority;
    member.preemptable = info.preemptable;
    member.network = info.network;
    member.created_at = info.created_at;
    family_.remove(info.id); // as a member it had no parent
    family_.rename(planned, info.id);
    order->id = info.id;
    auto handle = member.handle;
    auto claimed = co_await coro::request(
        handle, coro::infinite,
        claim_sandbox{wanted.info, wanted.env, bounds_below(info.parent), wanted.secrets});
    if (claimed)
      co_return std::move(claimed);
    // Never handed out: it ends, and the caller gets another.
    log_event(log_level::warn, "warm_member_replaced",
              {{"sandbox_id", info.id.value}, {"error", text_of(claimed.error())}});
    caf::anon_send(handle, end_sandbox{end_reason::failed});
    if (order->abandoned)
      co_return std::move(claimed.error());
    family_.rename(info.id, planned);
    wanted.info.id = planned;
    order->id = planned;
  }
  co_return no_member();
}

} // namespace sandy
