#include "http/codec/cluster.hpp"
#include "http/routes/common.hpp"
#include "http/routes/routes.hpp"

#include <nlohmann/json.hpp>

namespace sandy::http::routes {

namespace {

caf::error no_cluster() { return fail(errc::feature_unavailable, "This server is no node"); }

io_task<result<void>> list_all(exchange& ex) {
  if (auto allowed = must_be_admin(ex); !allowed)
    co_return allowed;
  auto& server = ex.server();
  if (!server.members)
    co_return no_cluster();
  auto all = co_await ask(server.members, list_nodes{}, server.limits.control_timeout);
  if (!all)
    co_return all.error();
  co_await ex.reply(200, codec::to_json(*all));
  co_return answered();
}

template <node_state Wish>
io_task<result<void>> steer(exchange& ex) {
  if (auto allowed = must_be_admin(ex); !allowed)
    co_return allowed;
  auto& server = ex.server();
  if (!server.members)
    co_return no_cluster();
  steer_node question{std::string{ex.param("node")}, Wish};
  auto node = co_await ask(server.members, std::move(question), server.limits.control_timeout);
  if (!node)
    co_return node.error();
  co_await ex.reply(200, codec::to_json(*node));
  co_return answered();
}

} // namespace

void add_cluster_routes(std::vector<route>& table) {
  table.insert(table.end(),
               {{"GET", "/api/cluster", answer<list_all>},
                {"POST", "/api/cluster/nodes/{node}/cordon", answer<steer<node_state::cordoned>>},
                {"POST", "/api/cluster/nodes/{node}/uncordon", answer<steer<node_state::ready>>},
                {"POST", "/api/cluster/nodes/{node}/drain", answer<steer<node_state::draining>>}});
}

} // namespace sandy::http::routes
