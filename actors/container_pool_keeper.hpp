#pragma once

#include "coro/actor.hpp"
#include "coro/sync.hpp"
#include "coro/task.hpp"
#include "messages/container_pool.hpp"

#include <chrono>
#include <functional>
#include <string>

namespace sandy {

/// State of the keeper of one container pool: stands for it, and spawns it again when it dies of a bug: at
/// once, but after a pause that grows when it had not lived long. The new one takes over the containers there
/// are. It knows nothing of what the old one had given away: those requests end without it.
class container_pool_keeper_state {
public:
  static inline const char* name = "container_pool_keeper";
  using self_pointer = coro::actor<container_pool_keeper_state, container_pool_actor>*;

  /// @param model for the log. @param spawn makes the pool.
  container_pool_keeper_state(self_pointer self, std::string model,
                              std::function<container_pool_actor()> spawn);
  container_pool_keeper_state(const container_pool_keeper_state&) = delete;
  container_pool_keeper_state& operator=(const container_pool_keeper_state&) = delete;
  /// Ends the pool.
  ~container_pool_keeper_state();
  container_pool_actor::behavior_type make_behavior();

private:
  caf::result<container_claim> claim(claim_container request);
  caf::result<container_pool_health> health(get_container_pool request);
  void begin();
  coro::task<void> begin_again(std::chrono::milliseconds pause);

  self_pointer self_;
  std::string model_;
  std::function<container_pool_actor()> spawn_;
  container_pool_actor pool_; ///< nullptr: it died, and the next one does not live yet
  coro::time_point begun_{};
  std::chrono::milliseconds pause_;
};

} // namespace sandy
