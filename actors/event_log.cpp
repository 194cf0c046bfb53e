#include "actors/event_log.hpp"

#include "coro/io.hpp"
#include "coro/timer.hpp"
#include "metrics/log.hpp"
#include "metrics/registry.hpp"
#include "store/store.hpp"

#include <algorithm>

namespace sandy {

namespace {

using namespace std::chrono_literals;

/// Events of one transaction: enough to make it worth its fsync, small enough to leave the store's thread to
/// others.
constexpr std::size_t most_per_write = 512;
/// Bounds of a question, whatever it asks for.
constexpr std::uint32_t most_per_page = 1000;
constexpr std::uint32_t longest_wait_ms = 60'000;
/// Between two tries to write what the store refused; doubled up to a minute.
constexpr auto first_pause = 200ms;
constexpr auto last_pause = 60s;

} // namespace

event_log_state::event_log_state(self_pointer self, services* env, std::size_t capacity)
    : self_(self)
    , env_(*env)
    , capacity_(capacity) {}

event_log_actor::behavior_type event_log_state::make_behavior() {
  coro::spawn(load());
  return {
      [this](life_event& event) { record(std::move(event)); },
      [this](read_events question) { return read(std::move(question)); },
      [this](settle_events question) { return settle(question); },
      [this](close_events) { close(); },
  };
}

// -- writing
// ----------------------------------------------------------------------------------------------------------

coro::task<void> event_log_state::load() {
  auto events = co_await coro::blocking<std::vector<life_event>>(env_.store_calls,
                                                                 [&s = env_.store] { return s.events(); });
  if (!events) { // going on would give out numbers a second time
    log_event(log_level::error, "events_unreadable", {{"error", text_of(events.error())}});
    self_->quit(std::move(events.error()));
    co_return caf::unit;
  }
  for (auto& event : *events)
    keep(std::move(event));
  if (!kept_.empty())
    last_ = kept_.back().sequence;
  loaded_.set();
  co_return co_await write();
}

void event_log_state::record(life_event event) {
  if (event.tenant.value.empty()) // a sandbox that is nobody's yet: its life is nobody's business
    return;
  env_.metrics.event_recorded(event.type);
  if (pending_.size() >= capacity_) {
    if (dropped_++ == 0)
      log_event(log_level::warn, "events_dropped", {{"reason", "the store takes none"}});
    pending_.pop_front();
  }
  pending_.push_back(std::move(event));
  if (loaded_.is_set() && !writing_)
    coro::spawn(write());
}

std::vector<life_event> event_log_state::next_batch() {
  last_ += std::exchange(dropped_, 0);
  std::vector<life_event> batch;
  for (; !pending_.empty() && batch.size() < most_per_write; pending_.pop_front()) {
    batch.push_back(std::move(pending_.front()));
    batch.back().sequence = ++last_;
  }
  return batch;
}

coro::task<void> event_log_state::write() {
  writing_ = true;
  while (!pending_.empty()) {
    auto batch = std::make_shared<std::vector<life_event>>(next_batch());
    auto pause = std::chrono::milliseconds{first_pause};
    for (;;) {
      auto stored =
          co_await coro::blocking<void>(env_.store_calls, [&s = env_.store, batch, most = capacity_] {
            return s.add_events(*batch, most);
          });
      if (stored)
        break;
      log_event(log_level::warn, "events_not_stored", {{"error", text_of(stored.error())}});
      co_await coro::sleep_for(pause);
      pause = std::min<std::chrono::milliseconds>(2 * pause, last_pause);
    }
    for (auto& event : *batch)
      keep(std::move(event));
    announce();
  }
  writing_ = false;
  announce();
  co_return caf::unit;
}

void event_log_state::keep(life_event event) {
  link(event);
  kept_.push_back(std::move(event));
  if (kept_.size() > capacity_) {
    unlink(kept_.front());
    kept_.pop_front();
  }
}

void event_log_state::link(const life_event& event) {
  auto& known = origins_[event.sandbox];
  known.parent = event.parent;
  ++known.kept;
  known.ended = known.ended || event.type == life_event_type::ended;
}

void event_log_state::unlink(const life_event& event) {
  auto known = origins_.find(event.sandbox);
  if (known != origins_.end() && --known->second.kept == 0 && known->second.ended)
    origins_.erase(known);
}

void event_log_state::announce() {
  auto news = std::exchange(news_, std::make_shared<coro::event>());
  news->set();
}

caf::result<void> event_log_state::settle(settle_events) {
  while (writing_ || !pending_.empty())
    co_await arrival();
  co_return caf::unit;
}

void event_log_state::close() {
  closing_ = true;
  announce();
}

// -- reading
// ----------------------------------------------------------------------------------------------------------

coro::task<void> event_log_state::arrival() {
  auto news = news_;
  co_await news->wait();
  co_return caf::unit;
}

caf::result<event_page> event_log_state::read(read_events question) {
  if (!loaded_.is_set())
    co_await loaded_.wait();
  auto until = self_->clock().now() + std::chrono::milliseconds{std::min(question.wait_ms, longest_wait_ms)};
  for (;;) {
    auto page = page_of(question);
    auto left = until - self_->clock().now();
    if (!page.events.empty() || page.missing_to != 0 || question.limit == 0 || closing_ ||
        left <= coro::duration::zero())
      co_return page;
    question.after = page.next;
    co_await coro::with_timeout<void>(left, arrival());
  }
}

/// Whether the event's sandbox is `ancestor` or descends from it.
bool event_log_state::within(const life_event& event, const sandbox_id& ancestor) const {
  if (event.sandbox == ancestor)
    return true;
  auto here = event.parent;
  // A cycle cannot be made, but might be read from a damaged store.
  for (std::size_t step = 0; step <= origins_.size() && !here.value.empty(); ++step) {
    if (here == ancestor)
      return true;
    auto known = origins_.find(here);
    if (known == origins_.end())
      return false;
    here = known->second.parent;
  }
  return false;
}

bool event_log_state::wanted(const read_events& question, const life_event& event) const {
  const auto& asker = question.caller;
  if (!question.every_tenant && event.tenant != asker.tenant)
    return false;
  if (!asker.sandbox.value.empty() && !within(event, asker.sandbox))
    return false;
  if (!question.sandbox.value.empty() && event.sandbox != question.sandbox)
    return false;
  const auto& types = question.types;
  return types.empty() || std::find(types.begin(), types.end(), event.type) != types.end();
}

event_page event_log_state::page_of(const read_events& question) const {
  event_page page;
  page.closing = closing_;
  auto newest = kept_.empty() ? 0 : kept_.back().sequence;
  page.next = newest;
  if (newest == 0 || question.limit == 0)
    return page;
  auto after = question.after > newest ? 0 : question.after;
  auto at =
      std::upper_bound(kept_.begin(), kept_.end(), after,
                       [](std::uint64_t number, const life_event& event) { return number < event.sequence; });
  auto expected = after == 0 ? kept_.front().sequence : after + 1;
  for (; at != kept_.end(); expected = at++->sequence + 1) {
    if (at->sequence != expected) {
      if (page.events.empty()) {
        page.missing_from = expected;
        page.missing_to = at->sequence - 1;
        page.next = page.missing_to;
      } else {
        page.next = expected - 1; // the next page begins with the hole
      }
      return page;
    }
    if (!wanted(question, *at))
      continue;
    page.events.push_back(*at);
    if (page.events.size() >= std::min(question.limit, most_per_page)) {
      page.next = at->sequence;
      return page;
    }
  }
  return page;
}

} // namespace sandy
