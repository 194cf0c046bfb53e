#pragma once

#include "coro/actor.hpp"
#include "coro/task.hpp"
#include "messages/events.hpp"

#include <chrono>
#include <functional>

namespace sandy {

/// State of the keeper of one webhook: spawns it, and spawns it again when it dies of a bug, after a pause
/// that grows with every death. The new one goes on where the old one was. When the webhook ends in order, so
/// does its keeper.
class webhook_keeper_state {
public:
  static inline const char* name = "webhook_keeper";
  using self_pointer = coro::actor<webhook_keeper_state, webhook_actor>*;

  /// @param spawn makes the webhook, which is not started yet.
  webhook_keeper_state(self_pointer self, std::function<webhook_actor()> spawn);
  webhook_keeper_state(const webhook_keeper_state&) = delete;
  webhook_keeper_state& operator=(const webhook_keeper_state&) = delete;
  /// Ends the webhook.
  ~webhook_keeper_state();
  webhook_actor::behavior_type make_behavior();

private:
  void begin();
  coro::task<void> begin_again();

  self_pointer self_;
  std::function<webhook_actor()> spawn_;
  webhook_actor hook_;
  std::chrono::milliseconds pause_;
};

} // namespace sandy
