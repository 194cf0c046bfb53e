#pragma once

#include "coro/actor.hpp"
#include "coro/request.hpp"
#include "coro/sync.hpp"
#include "coro/timer.hpp"
#include "messages/worker.hpp"

#include <atomic>
#include <functional>

namespace sandy::tests {

// Actors for the tests of the coroutine layer. They speak interfaces that exist, so that no message is made
// for tests alone.

/// Answers `sweep` with whatever a test's coroutine does.
using probe_actor = janitor_actor;
using probe_body = std::function<coro::task<std::uint32_t>(caf::scheduled_actor*)>;

/// Counts its living instances: frames that leak are seen.
struct tracked {
  static inline std::atomic<int> alive = 0;
  tracked() { ++alive; }
  tracked(const tracked&) { ++alive; }
  ~tracked() { --alive; }
};

struct probe_state {
  static inline const char* name = "probe";
  using self_pointer = coro::actor<probe_state, probe_actor>*;

  probe_state(self_pointer s, probe_body b)
      : self(s)
      , body(std::move(b)) {}
  probe_actor::behavior_type make_behavior() {
    return {[this](sweep request) { return handle(request); }};
  }
  caf::result<std::uint32_t> handle(sweep) {
    tracked in_frame;
    auto outcome = co_await body(self);
    co_return std::move(outcome);
  }

  self_pointer self;
  probe_body body;
};

inline probe_actor spawn_probe(caf::actor_system& system, probe_body body) {
  return system.spawn<coro::actor<probe_state, probe_actor>>(std::move(body));
}

/// A plain CAF actor, without our layer.
class plain_echo final : public probe_actor::base {
public:
  using probe_actor::base::base;

protected:
  behavior_type make_behavior() override {
    return {[](sweep) -> std::uint32_t { return 7; }};
  }
};

} // namespace sandy::tests
