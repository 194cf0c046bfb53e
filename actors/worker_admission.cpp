#include "actors/worker.hpp"
#include "coro/timer.hpp"
#include "metrics/registry.hpp"

#include <algorithm>

namespace sandy {

// Who gets a place on this machine, and whose turn it is to be made. Both lines are served in order of
// priority, then of age. Nobody overtakes a more important creation; among equals a small one may go ahead of
// one that there is no room for.

namespace {

using namespace std::chrono_literals;

/// Others ended for it: it waits for them longer than `create_wait`, but not until a broken kernel lets go.
constexpr auto victims_patience = 30s;
/// Nobody knows when a sandbox will end: soon is a guess that costs little.
constexpr std::uint32_t retry_when_in_use = 5;
/// Lines move by tens of creations a second.
constexpr std::uint32_t retry_when_crowded = 2;

coro::task<void> woken(std::shared_ptr<creation> order, creation::stage creation::* stage) {
  co_await ((*order).*stage).woken.wait();
  co_return caf::unit;
}

} // namespace

caf::error worker_state::refused(refusal reason) {
  env_.metrics.create_refused(reason);
  if (reason == refusal::draining)
    return fail(errc::shutting_down, sentence(reason));
  auto crowded = reason == refusal::queue_full || reason == refusal::no_turn;
  return fail_for_now(errc::capacity_exhausted, sentence(reason),
                      crowded ? retry_when_crowded : retry_when_in_use);
}

/// What is promised to sandboxes that are somebody's, and to creations that have their place. Warm ones give
/// way, so they are not in the way.
amounts worker_state::promised() const {
  amounts sum;
  for (const auto& each : live_)
    if (!each.second.warm)
      sum += amounts_of(each.second.limits);
  for (const auto& each : creating_for_)
    if (each.second->place.granted && !live_.contains(each.second->id))
      sum += amounts_of(each.second->limits);
  return sum;
}

amounts worker_state::held_by_warm() const {
  amounts sum;
  for (const auto& each : live_)
    if (each.second.warm && each.second.ending == end_reason::none)
      sum += amounts_of(each.second.limits);
  return sum;
}

std::optional<refusal> worker_state::shortage(const amounts& wanted) const {
  if (!accepting_)
    return refusal::draining;
  if (auto reason = room_.short_of())
    return reason;
  return room_.over(promised() + wanted);
}

coro::task<void> worker_state::take_place(std::shared_ptr<creation> order) {
  for_place_.insert(order);
  give_places();
  co_return co_await wait_in_line(for_place_, order, &creation::place);
}

coro::task<void> worker_state::take_turn(std::shared_ptr<creation> order) {
  for_turn_.insert(order);
  give_turns();
  co_return co_await wait_in_line(for_turn_, order, &creation::turn);
}

/// Waits until it is granted the stage. Fails when its time is up, when the line is too long, or when
/// somebody gave it up.
coro::task<void> worker_state::wait_in_line(creation_line& line, std::shared_ptr<creation> order,
                                            creation::stage creation::* stage) {
  const auto& mine = (*order).*stage;
  auto late = [&] {
    return stage == &creation::place ? shortage(amounts_of(order->limits)).value_or(refusal::no_turn)
                                     : refusal::no_turn;
  };
  if (!mine.granted && !order->coming && !order->failed && waiting() > env_.settings.create_queue)
    give_up(*line.rbegin(), refused(env_.settings.create_queue == 0 ? late() : refusal::queue_full));
  for (auto now = self_->clock().now(); !mine.granted && !order->failed && now < order->waits_until;
       now = self_->clock().now())
    co_await coro::with_timeout(order->waits_until - now, woken(order, stage));
  line.erase(order);
  if (order->failed)
    co_return *order->failed;
  if (!mine.granted)
    co_return refused(late());
  co_return caf::unit;
}

void worker_state::give_up(const std::shared_ptr<creation>& order, caf::error why) {
  auto kept = order; // `order` may be an element of the lines it is taken out of
  if (!kept->failed)
    kept->failed = std::move(why);
  for_place_.erase(kept);
  for_turn_.erase(kept);
  kept->place.woken.set();
  kept->turn.woken.set();
}

void worker_state::give_places() {
  const auto before = promised();
  auto placed = before;
  auto used = before; // with those who are promised a place that is not free yet
  auto later = before;
  later -= about_to_go();
  std::optional<std::uint8_t> stuck; // the priority of the first that there is no room for
  for (auto each = for_place_.begin(); each != for_place_.end() && !room_.short_of();) {
    auto order = *each++;
    if (stuck && order->priority > *stuck)
      break;
    auto wanted = amounts_of(order->limits);
    if (room_.over(later + wanted)) {
      auto freed = preempt_for(*order, later + wanted);
      if (!freed) {
        stuck = order->priority;
        order->coming = false;
        continue;
      }
      later -= *freed;
    }
    later += wanted;
    used += wanted;
    if (room_.over(used)) {
      if (!std::exchange(order->coming, true))
        order->waits_until = std::max(order->waits_until, self_->clock().now() + victims_patience);
      continue;
    }
    placed += wanted;
    order->place.granted = true;
    for_place_.erase(order);
    order->place.woken.set();
  }
  env_.metrics.room_shown(placed.memory_bytes, static_cast<double>(placed.cpu_millis) / 1000.0, placed.pids,
                          placed.disk_bytes, waiting());
}

void worker_state::give_turns() {
  while (making_ < env_.settings.create_concurrency && !for_turn_.empty()) {
    auto next = *for_turn_.begin();
    for_turn_.erase(for_turn_.begin());
    ++making_;
    next->turn.granted = true;
    next->turn.woken.set();
  }
}

void worker_state::end_turn() {
  --making_;
  give_turns();
}

} // namespace sandy
