#pragma once

#include "actors/budget.hpp"
#include "actors/services.hpp"
#include "coro/actor.hpp"
#include "coro/task.hpp"
#include "messages/limiter.hpp"

#include <map>
#include <unordered_map>
#include <unordered_set>

namespace sandy {

/// State of a rate limiter: the budgets of the tenants whose names lead to it, and who holds places among
/// their streams.
///
/// A budget is made when its tenant is first heard of and forgotten when it is full again, so that tenants
/// cost nothing while they are idle. Whoever holds a place is monitored: its places come back when it dies.
/// Nothing here survives a restart, and nothing needs to.
class rate_limiter_state {
public:
  static inline const char* name = "rate_limiter";
  using self_pointer = coro::actor<rate_limiter_state, rate_limiter_actor>*;

  rate_limiter_state(self_pointer self, services* env);
  rate_limiter_actor::behavior_type make_behavior();

  /// Budgets that are kept now.
  std::size_t budgets() const noexcept { return budgets_.size(); }

private:
  struct lease {
    tenant_id tenant;
    caf::actor_addr holder;
  };

  admission admit(const admit_request& request);
  void give_back(std::uint64_t id);
  void holder_down(const caf::down_msg& down);
  tenant_limits change(const set_tenant_limits& request);
  coro::task<void> forget_idle();
  budget::time_point now() const;

  self_pointer self_;
  services& env_;
  std::unordered_map<std::string, budget> budgets_; ///< by tenant
  std::unordered_map<std::uint64_t, lease> leases_;
  std::map<caf::actor_addr, std::unordered_set<std::uint64_t>>
      held_; ///< monitored holders, and what they hold
};

} // namespace sandy
