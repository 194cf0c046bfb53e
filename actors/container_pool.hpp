#pragma once

#include "actors/model_containers.hpp"
#include "actors/services.hpp"
#include "coro/actor.hpp"
#include "coro/sync.hpp"
#include "coro/task.hpp"
#include "messages/container_pool.hpp"
#include "messages/worker.hpp"

#include <deque>
#include <list>
#include <map>
#include <memory>

namespace sandy {

/// State of a container pool: has containers of one model ready, and gives each request the least busy of
/// them.
///
/// Each is in a sandbox of its own, which ends with it: the pool's tenant owns them. They have short leases
/// that the pool renews, so that nothing stays when nobody needs it any more; a new server takes over those
/// that it finds, where they are what it would make. One that is not healthy any more, or failed a request,
/// is replaced; one after the other is made, with a pause after a failure that grows.
class container_pool_state {
public:
  static inline const char* name = "container_pool";
  using self_pointer = coro::actor<container_pool_state, container_pool_actor>*;

  container_pool_state(self_pointer self, services* env, model_containers what, worker_actor worker);
  container_pool_actor::behavior_type make_behavior();

private:
  struct member {
    sandbox_id sandbox;
    container_id container;
    std::uint16_t port = 0;
    std::uint32_t in_use = 0;
    std::uint32_t served = 0;
    std::uint32_t unanswered = 0; ///< looks in a row
    bool retired = false;         ///< gets no more requests, and ends when it has none
    coro::time_point made_at{};
    coro::time_point used_at{};
  };
  using members = std::list<member>;
  /// A claim that waits.
  struct waiter {
    explicit waiter(std::uint64_t claim)
        : number(claim) {}
    std::uint64_t number;
    coro::event woken;
    std::optional<result<container_claim>> outcome;
  };

  caf::result<container_claim> claim(claim_container request);
  void give_back(const return_container& request);
  container_pool_health health() const;

  coro::task<void> keep();
  coro::task<void> take_over();
  coro::task<bool> make_one();
  coro::task<void> look_after();
  coro::task<void> end(sandbox_id which);
  coro::task<std::string> name_of_new();
  bool wanted_more() const;
  bool is_old(const member& which) const;
  void retire_oldest();
  members::iterator least_busy(const sandbox_id& besides = {});
  container_claim give(members::iterator to, std::uint64_t number);
  void serve_waiting();
  void retire(members::iterator which);
  void end_if_idle(members::iterator which);
  void fail_waiting(const caf::error& why);
  void wake();
  void show() const;
  std::uint32_t ready() const;
  create_sandbox sandbox_order() const;
  container_order container(std::string called) const;

  self_pointer self_;
  services& env_;
  model_containers what_;
  worker_actor worker_;
  principal me_; ///< the owner of the sandboxes
  members members_;
  std::map<std::uint64_t, members::iterator> claims_;
  std::deque<std::shared_ptr<waiter>> waiting_;
  coro::channel<bool> woken_{1};
  std::uint64_t served_ = 0;
  std::uint32_t making_ = 0;
  std::uint32_t failures_ = 0; ///< in a row
  coro::time_point next_try_{};
  coro::time_point next_look_{};
  std::string error_;
};

} // namespace sandy
