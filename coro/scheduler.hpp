#pragma once

#include "coro/clock.hpp"
#include "coro/pool.hpp"

#include <caf/execution_unit.hpp>
#include <caf/resumable.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>

#include <atomic>
#include <memory>
#include <vector>

namespace sandy::coro {

/// CAF's scheduler module on the pool's io_contexts: an actor that has mail is a handler posted to one of
/// them. One pool of threads costs 8 us of CPU for a request through two actors, two pools cost 12.
class scheduler final : public caf::scheduler::abstract_coordinator {
public:
  scheduler(caf::actor_system& system, pool& threads);
  ~scheduler() override;

  void enqueue(caf::resumable* what) override;
  /// Waits until no actor is scheduled, then ends CAF's own helpers.
  void stop() override;
  caf::actor_clock& clock() noexcept override { return clock_; }

private:
  class unit;
  struct job;
  void finished_one() noexcept;

  pool& pool_;
  std::vector<std::unique_ptr<unit>> units_;
  std::atomic<std::size_t> next_{0};
  std::atomic<long> scheduled_{0};
  pool_clock clock_;
};

} // namespace sandy::coro
