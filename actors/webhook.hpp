#pragma once

#include "actors/services.hpp"
#include "coro/actor.hpp"
#include "coro/task.hpp"
#include "messages/events.hpp"

#include <functional>
#include <optional>
#include <random>

namespace sandy {

/// Posts one event and gives the status of the answer. Fails with forbidden where the address may not be
/// connected to, and with anything else where another try may help.
using webhook_post = std::function<coro::task<unsigned>(life_event)>;

/// State of one webhook: how far it has got. It reads the event log like any other reader, so its queue is
/// the log's bounded history: what falls out of it before it was posted is counted and logged. Its position
/// is stored, so that a restart goes on where it was; an event may then be posted twice, never be left out.
class webhook_state {
public:
  static inline const char* name = "webhook";
  using self_pointer = coro::actor<webhook_state, webhook_actor>*;

  webhook_state(self_pointer self, services* env, webhook_settings settings, event_log_actor log,
                webhook_post post);
  webhook_state(const webhook_state&) = delete;
  webhook_state& operator=(const webhook_state&) = delete;
  webhook_actor::behavior_type make_behavior();

private:
  coro::task<void> run();
  coro::task<std::uint64_t> first_position();
  coro::task<bool> deliver(life_event event); ///< false: the receiver wants no more
  coro::task<void> remember(std::uint64_t position);
  std::chrono::milliseconds pause_after(int tries);

  self_pointer self_;
  services& env_;
  webhook_settings settings_;
  std::string name_;  ///< of its position in the store
  std::string shown_; ///< of its receiver, in the log
  event_log_actor log_;
  webhook_post post_;
  std::optional<std::uint64_t> remembered_; ///< what the store holds
  std::minstd_rand random_;
};

} // namespace sandy
