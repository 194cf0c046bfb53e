#pragma once

#include "actors/services.hpp"
#include "coro/actor.hpp"
#include "coro/sync.hpp"
#include "coro/task.hpp"
#include "messages/worker.hpp"

namespace sandy {

/// State of the janitor: finds sandboxes in the kernel or on disk that the worker does not know, and removes
/// them. Spawned and monitored by the worker; sweeps when asked and once a minute.
class janitor_state {
public:
  static inline const char* name = "janitor";
  using self_pointer = coro::actor<janitor_state, janitor_actor>*;

  janitor_state(self_pointer self, services* env, worker_actor worker);
  janitor_actor::behavior_type make_behavior();

private:
  caf::result<std::uint32_t> sweep_now(sweep);
  coro::task<std::uint32_t> run();
  coro::task<void> sweep_for_ever();

  services& env_;
  caf::weak_actor_ptr worker_; ///< weak: our parent must not be kept alive by us
  coro::semaphore one_at_a_time_{1};
};

} // namespace sandy
