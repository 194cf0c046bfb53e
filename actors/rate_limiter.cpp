#include "actors/rate_limiter.hpp"

#include "actors/tenant_limits.hpp"
#include "coro/timer.hpp"
#include "metrics/registry.hpp"

#include <utility>

namespace sandy {

namespace {

using namespace std::chrono_literals;

/// Often enough that a flood of tenants is gone soon, seldom enough that looking through thousands costs
/// nothing.
constexpr auto forget_period = 60s;

} // namespace

rate_limiter_state::rate_limiter_state(self_pointer self, services* env)
    : self_(self)
    , env_(*env) {
  self_->set_down_handler([this](caf::scheduled_actor*, caf::down_msg& down) { holder_down(down); });
}

rate_limiter_actor::behavior_type rate_limiter_state::make_behavior() {
  coro::spawn(forget_idle());
  return {
      [this](const admit_request& request) { return admit(request); },
      [this](return_lease request) { give_back(request.lease); },
      [this](const get_tenant_limits& request) { return env_.limits->of(request.tenant); },
      [this](const set_tenant_limits& request) { return change(request); },
  };
}

budget::time_point rate_limiter_state::now() const { return self_->clock().now(); }

admission rate_limiter_state::admit(const admit_request& request) {
  const auto& tenant = request.tenant;
  auto found = budgets_.find(tenant.value);
  if (found == budgets_.end())
    found = budgets_.emplace(tenant.value, budget{env_.limits->of(tenant)}).first;
  auto decision = found->second.admit(request.cost, now(), request.count);
  if (decision.refused_by != budget_kind::none) {
    env_.metrics.limit_refused(decision.refused_by);
  } else if (request.cost == request_cost::stream) {
    auto holder = caf::actor_cast<caf::actor_addr>(self_->current_sender());
    auto [held, is_new] = held_.try_emplace(holder);
    if (is_new)
      self_->monitor(holder);
    held->second.insert(request.lease);
    leases_.emplace(request.lease, lease{tenant, std::move(holder)});
  }
  return decision;
}

void rate_limiter_state::give_back(std::uint64_t id) {
  auto found = leases_.find(id);
  if (found == leases_.end())
    return;
  auto [tenant, holder] = std::move(found->second);
  leases_.erase(found);
  budgets_.at(tenant.value).stream_ended(); // a budget with streams is not idle, so it is there
  if (auto held = held_.find(holder); held != held_.end())
    held->second.erase(id);
}

void rate_limiter_state::holder_down(const caf::down_msg& down) {
  auto held = held_.extract(down.source);
  if (held.empty())
    return;
  for (auto id : held.mapped())
    give_back(id);
}

tenant_limits rate_limiter_state::change(const set_tenant_limits& request) {
  env_.limits->set(request.tenant, request.limits);
  if (auto found = budgets_.find(request.tenant.value); found != budgets_.end())
    found->second.change(request.limits, now());
  return request.limits;
}

coro::task<void> rate_limiter_state::forget_idle() {
  for (;;) {
    co_await coro::sleep_for(forget_period);
    std::erase_if(budgets_, [moment = now()](const auto& each) { return each.second.idle(moment); });
  }
}

} // namespace sandy
