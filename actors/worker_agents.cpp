#include "actors/worker.hpp"
#include "agents/catalog.hpp"
#include "coro/io.hpp"
#include "coro/request.hpp"

namespace sandy {

namespace {

/// A sandbox asks its run, which answers at once.
constexpr std::chrono::seconds cancel_timeout{6};

} // namespace

/// Which agents there are, and which of them an image has.
caf::result<std::vector<agent_info>> worker_state::agents(list_agents) {
  auto known = co_await coro::blocking<std::vector<agent_info>>(
      env_.kernel_calls,
      [&d = env_.driver, catalog = env_.agent_catalog]() -> result<std::vector<agent_info>> {
        std::vector<agent_info> all;
        if (catalog)
          for (const auto& each : catalog->all())
            all.push_back({each.id, each.name, d.has_program(each.program)});
        return all;
      });
  co_return std::move(known);
}

/// What works now, before the server stops.
coro::task<void> worker_state::end_agents() {
  std::vector<coro::task<bool>> orders;
  auto tell = [](sandbox_actor whom, cancel_agent order) -> coro::task<bool> {
    auto cancelled = co_await coro::request(whom, cancel_timeout, std::move(order));
    co_return std::move(cancelled);
  };
  for (const auto& [id, each] : live_)
    orders.push_back(tell(each.handle, {{}, id, true}));
  co_await coro::when_all(std::move(orders)); // who cannot be told ends, or has no agent
  co_return caf::unit;
}

} // namespace sandy
