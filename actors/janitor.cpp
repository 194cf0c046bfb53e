#include "actors/janitor.hpp"

#include "coro/io.hpp"
#include "coro/request.hpp"
#include "coro/timer.hpp"
#include "metrics/log.hpp"
#include "metrics/registry.hpp"
#include "runtime/driver.hpp"

#include <unordered_set>

namespace sandy {

namespace {

using namespace std::chrono_literals;

constexpr auto sweep_period = 60s;
constexpr auto worker_timeout = 30s;

} // namespace

janitor_state::janitor_state(self_pointer, services* env, worker_actor worker)
    : env_(*env)
    , worker_(caf::actor_cast<caf::weak_actor_ptr>(worker)) {}

janitor_actor::behavior_type janitor_state::make_behavior() {
  coro::spawn(sweep_for_ever());
  return {[this](sweep request) { return sweep_now(request); }};
}

caf::result<std::uint32_t> janitor_state::sweep_now(sweep) {
  auto found = co_await run();
  co_return std::move(found);
}

coro::task<void> janitor_state::sweep_for_ever() {
  for (;;) {
    co_await coro::sleep_for(sweep_period);
    co_await run();
  }
}

coro::task<std::uint32_t> janitor_state::run() {
  auto turn = co_await one_at_a_time_.acquire();
  // The kernel first, the worker second: what the worker does not know by then was never going to be known.
  auto present = co_await coro::blocking<std::vector<sandbox_id>>(env_.kernel_calls,
                                                                  [&d = env_.driver] { return d.list(); });
  if (!present)
    co_return std::move(present.error());
  auto worker = caf::actor_cast<worker_actor>(caf::actor_cast<caf::strong_actor_ptr>(worker_));
  if (!worker)
    co_return fail(errc::cancelled, "The worker is gone");
  auto known = co_await coro::request(worker, worker_timeout, list_known{});
  worker = nullptr;
  if (!known)
    co_return std::move(known.error());
  std::unordered_set<sandbox_id> owned{known->begin(), known->end()};
  std::uint32_t found = 0;
  for (const auto& id : *present) {
    if (owned.count(id) != 0)
      continue;
    auto destroyed =
        co_await coro::blocking<void>(env_.kernel_calls, [&d = env_.driver, id] { return d.destroy(id); });
    log_event(log_level::warn, "leftover_removed",
              {{"sandbox_id", id.value}, {"outcome", destroyed ? "removed" : text_of(destroyed.error())}});
    ++found;
  }
  env_.metrics.leaks_found(metrics::leak_kind::sandbox, found);
  co_return found;
}

} // namespace sandy
