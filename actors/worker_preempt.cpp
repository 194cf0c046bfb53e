#include "actors/worker.hpp"
#include "metrics/log.hpp"
#include "metrics/registry.hpp"
#include "runtime/guest/local_data_plane.hpp"

#include <caf/send.hpp>

#include <algorithm>

namespace sandy {

// Who is ended to make room. A victim keeps its place until nothing of it is left in the kernel.

namespace {

constexpr int any_priority = -1;
constexpr auto in_use = std::chrono::steady_clock::time_point::max();

} // namespace

/// What is promised now to sandboxes that end already.
amounts worker_state::about_to_go() const {
  amounts sum;
  for (const auto& each : live_)
    if (!each.second.warm && (each.second.doomed || each.second.ending != end_reason::none))
      sum += amounts_of(each.second.limits);
  return sum;
}

/// Sandboxes less important than `above_priority` that may be ended. Not `spare`, nor what it descends from.
std::vector<candidate> worker_state::candidates(int above_priority, const sandbox_id& spare) const {
  std::vector<candidate> all;
  for (const auto& [id, each] : live_) {
    if (!each.preemptable || !each.ready || each.warm || each.doomed || each.ending != end_reason::none ||
        each.priority <= above_priority || (!spare.value.empty() && family_.within(spare, id)))
      continue;
    candidate one{id, each.priority, {}, {}};
    std::vector<sandbox_id> ends{id};
    for (std::size_t next = 0; next < ends.size(); ++next) { // grows while it is read
      auto entry = live_.find(ends[next]);
      if (entry == live_.end())
        continue; // a child that is not made yet holds nothing
      one.idle_since = std::max(one.idle_since, env_.data.idle_since(ends[next]).value_or(in_use));
      if (!entry->second.doomed && entry->second.ending == end_reason::none)
        one.frees.emplace_back(ends[next], amounts_of(entry->second.limits));
      auto children = family_.children(ends[next]);
      ends.insert(ends.end(), children.begin(), children.end());
    }
    all.push_back(std::move(one));
  }
  return all;
}

/// Ends whom it takes so that `wanted` may be promised. @returns what that frees; nothing, and nobody ends,
/// when it would not be enough.
std::optional<amounts> worker_state::preempt_for(const creation& order, const amounts& wanted) {
  auto from = candidates(order.priority, order.parent);
  amounts freed;
  std::set<sandbox_id> counted;
  auto victims = choose_victims(from, wanted, room_);
  for (const auto& victim : victims) {
    auto chosen =
        std::find_if(from.begin(), from.end(), [&](const candidate& each) { return each.id == victim; });
    for (const auto& [id, held] : chosen->frees)
      if (counted.insert(id).second)
        freed += held;
    preempt(*chosen, metrics::preemption::creation);
  }
  return victims.empty() ? std::nullopt : std::optional{freed};
}

void worker_state::preempt(const candidate& victim, metrics::preemption cause) {
  for (const auto& each : victim.frees)
    live_.at(each.first).doomed = true;
  auto& entry = live_.at(victim.id);
  entry.ending = end_reason::preempted; // no more children from here on
  env_.metrics.preempted(cause);
  log_event(log_level::info, "sandbox_preempted",
            {{"sandbox_id", victim.id.value},
             {"tenant", entry.tenant.value},
             {"for", cause == metrics::preemption::memory ? "memory" : "creation"}});
  caf::anon_send(entry.handle, end_sandbox{end_reason::preempted});
}

/// While the machine is short of memory sandboxes end, one after the other: what each of them freed shows in
/// the next look at the machine.
void worker_state::relieve_memory() {
  if (!room_.short_of_memory())
    return;
  while (evict_warm()) { // nobody's: they go first, and together they are small
  }
  if (live_.contains(preempted_))
    return;
  if (!std::exchange(preempted_, {}).value.empty())
    return; // what we see may be from just before it went
  auto from = candidates(any_priority, {});
  auto first = std::min_element(from.begin(), from.end(), goes_before);
  if (first == from.end())
    return;
  preempted_ = first->id;
  preempt(*first, metrics::preemption::memory);
}

} // namespace sandy
