#include "actors/worker.hpp"
#include "coro/request.hpp"
#include "metrics/log.hpp"

#include <algorithm>

namespace sandy {

// The worker's side of networks: who may change what, and that a change reaches the descendants.

/// What a sandbox gets that asks for this. A child that asks for nothing gets what its parent has.
network_policy worker_state::network_for(const network_policy& wanted, const child* parent) const {
  auto policy = wanted;
  const auto nothing_asked = wanted == network_policy{};
  if (parent != nullptr && nothing_asked)
    policy = parent->network;
  if (policy.mode == network_mode::usual)
    policy.mode = parent != nullptr ? parent->network.mode : env_.settings.default_network;
  policy.mode = std::min(policy.mode, env_.settings.max_network);
  if (parent != nullptr)
    policy.mode = std::min(policy.mode, parent->network.mode);
  return policy;
}

/// What its ancestors impose on the network of a child of `parent`, as of now.
std::vector<network_bound> worker_state::bounds_below(sandbox_id parent) const {
  std::vector<network_bound> bounds;
  for (auto entry = live_.find(parent); entry != live_.end(); entry = live_.find(entry->second.parent))
    bounds.push_back({entry->first, entry->second.network});
  return bounds;
}

caf::result<network_report> worker_state::set_network(sandy::set_network request) {
  auto* target = find(request.caller, request.id);
  if (target == nullptr || !target->ready)
    co_return no_such_sandbox();
  auto& wanted = request.policy;
  if (wanted.mode == network_mode::usual)
    wanted.mode = target->network.mode; // only the lists were given
  if (wanted.mode > env_.settings.max_network)
    co_return fail(errc::forbidden, "This installation gives no sandbox more than the network mode " +
                                        to_string(env_.settings.max_network));
  if (!request.caller.sandbox.value.empty() && !is_stricter_or_same(wanted, target->network))
    co_return fail(errc::forbidden, "A sandbox may only make a network stricter");
  auto handle = target->handle;
  // From here on: children that are made meanwhile are bounded by it, too.
  auto before = std::exchange(target->network, wanted);
  auto changed = co_await coro::request(handle, coro::infinite, request);
  if (!changed) {
    if (auto entry = live_.find(request.id); entry != live_.end() && entry->second.network == wanted)
      entry->second.network = std::move(before);
    co_return std::move(changed.error());
  }
  auto told = co_await bound_descendants({request.id, wanted});
  if (!told)
    co_return std::move(told.error());
  co_return std::move(changed);
}

/// Returns when none of them reaches more than that. Fails when one could not be told.
coro::task<void> worker_state::bound_descendants(network_bound bound) {
  auto tell = [](sandbox_actor whom, network_bound what) -> coro::task<void> {
    auto done = co_await coro::request(whom, coro::infinite, bound_network{std::move(what)});
    co_return std::move(done);
  };
  std::vector<coro::task<void>> all;
  for (const auto& [id, each] : live_)
    if (id != bound.from && !each.warm && family_.within(id, bound.from))
      all.push_back(tell(each.handle, bound));
  auto answers = co_await coro::when_all(std::move(all));
  for (auto& answer : *answers)
    if (!answer && code_of(answer.error()) != errc::sandbox_ended &&
        code_of(answer.error()) != errc::sandbox_not_found)
      co_return std::move(answer.error());
  co_return caf::unit;
}

} // namespace sandy
