#include "http/routes/routes.hpp"

#include "http/codec/network.hpp"
#include "http/routes/common.hpp"

#include <nlohmann/json.hpp>

namespace sandy::http::routes {

namespace {

io_task<result<void>> show(exchange& ex) {
  auto id = named_sandbox(ex);
  if (!id)
    co_return id.error();
  auto& server = ex.server();
  auto report = co_await ask(server.worker, get_network{ex.caller(), *id}, server.limits.control_timeout);
  if (!report)
    co_return report.error();
  co_await ex.reply(200, codec::to_json(*report));
  co_return answered();
}

io_task<result<void>> change(exchange& ex) {
  auto asked = co_await read_about_sandbox(ex, codec::parse_network);
  if (!asked)
    co_return asked.error();
  auto& server = ex.server();
  set_network request{ex.caller(), asked->id, std::move(asked->body)};
  auto report = co_await ask(server.worker, std::move(request), server.limits.control_timeout);
  if (!report)
    co_return report.error();
  co_await ex.reply(200, codec::to_json(*report));
  co_return answered();
}

} // namespace

void add_network_routes(std::vector<route>& table) {
  table.insert(table.end(), {{"GET", "/api/sandboxes/{id}/network", answer<show>},
                             {"PUT", "/api/sandboxes/{id}/network", answer<change>}});
}

} // namespace sandy::http::routes
