#pragma once

#include "actors/services.hpp"
#include "coro/actor.hpp"
#include "coro/sync.hpp"
#include "coro/task.hpp"
#include "messages/pool.hpp"
#include "messages/worker.hpp"

#include <deque>

namespace sandy {

/// State of a warm pool: keeps sandboxes of one flavor ready, so that a caller need not wait for one to be
/// made.
///
/// Members are made one after the other, paced by a token bucket, and not while callers claim. After a miss
/// the target doubles up to the flavor's maximum; quiet minutes take it back. Members that are old, or older
/// than their image, are replaced.
class warm_pool_state {
public:
  static inline const char* name = "warm_pool";
  using self_pointer = coro::actor<warm_pool_state, warm_pool_actor>*;

  /// @param kind a configured flavor with `warm` above 0.
  warm_pool_state(self_pointer self, services* env, std::string kind, worker_actor worker);
  warm_pool_actor::behavior_type make_behavior();

private:
  struct member {
    sandbox_id id;
    unix_millis made_at = 0;
  };

  sandbox_id take();

  coro::task<void> keep_full();
  coro::task<void> pace();
  coro::task<bool> make_one();
  coro::task<void> look_after();
  void retire_if(const std::function<bool(const member&)>& stale);
  void wake();
  void show() const; ///< to the worker and in the metrics
  worker_actor worker() const;

  self_pointer self_;
  services& env_;
  std::string kind_;
  flavor settings_;
  caf::weak_actor_ptr worker_; ///< weak: our parent must not be kept alive by us
  std::deque<member> members_;
  coro::channel<bool> woken_{1};
  std::uint32_t target_;
  std::uint64_t hits_ = 0, misses_ = 0, misses_seen_ = 0;
  coro::time_point last_claim_{};
  coro::time_point next_refill_{}; ///< the bucket's next token
  coro::time_point next_look_{};
  std::uint64_t refill_ms_ = 0;
  std::uint32_t failures_ = 0; ///< in a row
};

} // namespace sandy
