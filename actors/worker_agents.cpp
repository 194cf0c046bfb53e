#include "actors/worker.hpp"
#include "agents/catalog.hpp"
#include "coro/io.hpp"

namespace sandy {

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

} // namespace sandy
