#pragma once

#include "actors/services.hpp"
#include "coro/actor.hpp"
#include "coro/sync.hpp"
#include "coro/task.hpp"
#include "messages/events.hpp"

#include <deque>
#include <memory>
#include <unordered_map>

namespace sandy {

/// State of the event log: the newest events of all sandboxes, in memory and in the store.
///
/// Events get their numbers when they are written, many in one transaction: what comes while a write is under
/// way goes with the next. Readers see an event when it is stored, so a number that somebody saw is never
/// given out again. Readers ask for pages; nothing is kept for a slow one but the history, and where that
/// ends its page says what is missing.
class event_log_state {
public:
  static inline const char* name = "event_log";
  using self_pointer = coro::actor<event_log_state, event_log_actor>*;

  /// @param capacity events kept, over all tenants.
  event_log_state(self_pointer self, services* env, std::size_t capacity);
  event_log_state(const event_log_state&) = delete;
  event_log_state& operator=(const event_log_state&) = delete;
  event_log_actor::behavior_type make_behavior();

private:
  void record(life_event event);
  caf::result<event_page> read(read_events question);
  caf::result<void> settle(settle_events);
  void close();

  coro::task<void> load();
  coro::task<void> write();
  std::vector<life_event> next_batch();
  coro::task<void> arrival();
  void announce(); ///< wakes everybody who waits
  void keep(life_event event);
  event_page page_of(const read_events& question) const;
  bool wanted(const read_events& question, const life_event& event) const;
  bool within(const life_event& event, const sandbox_id& ancestor) const;
  void link(const life_event& event);
  void unlink(const life_event& event);

  /// Whose child a sandbox is, known from its events as long as one of them is kept or it lives.
  struct origin {
    sandbox_id parent;
    std::size_t kept = 0; ///< events of it
    bool ended = false;
  };

  self_pointer self_;
  services& env_;
  std::size_t capacity_;
  std::deque<life_event> kept_; ///< stored, in order
  std::unordered_map<sandbox_id, origin> origins_;
  std::deque<life_event> pending_; ///< not yet written; at most capacity_
  std::uint64_t last_ = 0;         ///< the newest number given out
  std::uint64_t dropped_ = 0;      ///< from pending_, since the last write: they leave a hole in the numbers
  bool writing_ = false;
  bool closing_ = false;
  coro::event loaded_;
  std::shared_ptr<coro::event> news_ = std::make_shared<coro::event>(); ///< replaced when it has happened
};

} // namespace sandy
