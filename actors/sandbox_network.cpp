#include "actors/sandbox.hpp"
#include "coro/io.hpp"
#include "coro/timer.hpp"
#include "messages/network_refusal.hpp"
#include "metrics/log.hpp"
#include "runtime/network_gate.hpp"

#include <algorithm>

namespace sandy {

// What a sandbox reaches of the world: its gate, and the policy that holds there.

namespace {

using namespace std::chrono_literals;

/// Between two looks at what went through: a server that is killed forgets at most this much of it.
constexpr auto count_pause = 5s;

} // namespace

/// Captures what its processes send to the world; nothing goes through before there is a policy. A sandbox
/// that has no gate has no network.
coro::task<void> sandbox_state_machine::open_network() {
  if (!env_.open_gate)
    co_return caf::unit;
  using shared_capture = std::shared_ptr<runtime::network_capture>;
  auto captured = co_await coro::blocking<shared_capture>(
      env_.kernel_calls, [&d = env_.driver, where = instance_]() -> result<shared_capture> {
        auto sockets = d.capture_network(*where);
        if (!sockets)
          return std::move(sockets.error());
        return std::make_shared<runtime::network_capture>(std::move(*sockets));
      });
  if (!captured && code_of(captured.error()) == errc::feature_unavailable) {
    log("has no network: " + text_of(captured.error())); // better than no sandbox
    record_.info.network.mode = network_mode::none;
    co_return caf::unit;
  }
  if (!captured)
    co_return std::move(captured.error());
  if (life_.state() != sandbox_state::ready)
    co_return fail(errc::sandbox_ended, sentence(life_.reason()));
  gate_ = env_.open_gate(std::move(**captured), record_.info.id, record_.network_bytes);
  if (!gate_)
    co_return fail(errc::internal, "The sandbox's network cannot be captured");
  if (record_.info.tenant.value.empty()) // warm: it gets its policy with its owner
    co_return caf::unit;
  let_policy_hold();
  co_return caf::unit;
}

/// Sends the policy to the gate, after all that was sent there before.
void sandbox_state_machine::let_policy_hold() {
  if (!gate_) {
    if (env_.open_gate) // this machine cannot: say so
      record_.info.network.mode = network_mode::none;
    return;
  }
  std::vector<network_policy> all_of{record_.info.network};
  for (const auto& each : record_.network_bounds)
    all_of.push_back(each.policy);
  if (!record_.secrets.all.empty() && !std::exchange(gate_has_secrets_, true)) // they do not change
    gate_->post([gate = gate_, secrets = record_.secrets] { gate->use_secrets(secrets); });
  gate_->post([gate = gate_, all_of = std::move(all_of)] { gate->apply(all_of); });
  if (!counting_) {
    counting_ = true;
    coro::spawn(count_network());
  }
}

coro::task<void> sandbox_state_machine::change_network() {
  auto stored = co_await coro::blocking<void>(
      env_.store_calls, [&s = env_.store, id = record_.info.id, policy = record_.info.network,
                         bounds = record_.network_bounds] { return s.set_network(id, policy, bounds); });
  if (!stored)
    co_return std::move(stored.error());
  if (record_.info.network.mode == network_mode::none)
    model_door_.reset(); // the next run opens it again, if it may
  let_policy_hold();
  if (!gate_)
    co_return caf::unit;
  coro::offload there = [gate = gate_](std::function<void()> work) { gate->post(std::move(work)); };
  auto holds = co_await coro::blocking<void>(there, []() -> result<void> { return caf::unit; });
  co_return std::move(holds);
}

network_report sandbox_state_machine::network_now() const {
  return {record_.info.network, gate_ ? gate_->usage() : network_usage{}};
}

caf::result<network_report> sandbox_state_machine::show_network(get_network) {
  if (life_.state() != sandbox_state::ready)
    return no_such_sandbox();
  return network_now();
}

caf::result<network_report> sandbox_state_machine::set_network(sandy::set_network message) {
  if (life_.state() != sandbox_state::ready)
    co_return no_such_sandbox();
  auto turn =
      co_await changing_network_.acquire(); // the store and the gate hear of changes in the same order
  auto before = std::exchange(record_.info.network, std::move(message.policy));
  auto changed = co_await change_network();
  if (!changed) {
    record_.info.network = std::move(before);
    co_return std::move(changed.error());
  }
  log("its network is now: " + to_string(record_.info.network.mode));
  co_return network_now();
}

caf::result<void> sandbox_state_machine::bound(bound_network message) {
  co_await created_.wait();
  if (life_.state() != sandbox_state::ready)
    co_return caf::unit; // nothing of it runs
  auto turn = co_await changing_network_.acquire();
  auto& bounds = record_.network_bounds;
  auto known = std::find_if(bounds.begin(), bounds.end(),
                            [&](const auto& each) { return each.from == message.bound.from; });
  if (known == bounds.end())
    bounds.push_back(std::move(message.bound));
  else
    *known = std::move(message.bound);
  auto changed = co_await change_network();
  if (!changed) {
    let_policy_hold(); // stored or not: after a restart of the server it is found with the ancestor
    co_return std::move(changed.error());
  }
  co_return caf::unit;
}

/// Stores what went through, so that a bound holds across restarts of the server.
coro::task<void> sandbox_state_machine::count_network() {
  auto told_spent = false;
  while (gate_) {
    co_await coro::sleep_for(count_pause);
    if (!gate_ || life_.state() != sandbox_state::ready)
      break;
    auto usage = gate_->usage();
    if (usage.spent && !std::exchange(told_spent, true)) {
      log(std::string{sentence(network_refusal::bytes)});
      publish(life_event_type::network_spent);
    }
    auto now = usage.sent_bytes + usage.received_bytes;
    if (now == record_.network_bytes)
      continue;
    record_.network_bytes = now;
    auto stored =
        co_await coro::blocking<void>(env_.store_calls, [&s = env_.store, id = record_.info.id, now] {
          return s.set_network_bytes(id, now);
        });
    if (!stored)
      log_event(log_level::warn, "network_bytes_not_stored",
                {{"sandbox_id", record_.info.id.value}, {"error", text_of(stored.error())}});
  }
  co_return caf::unit;
}

} // namespace sandy
