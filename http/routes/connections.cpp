#include "http/routes/routes.hpp"

#include "http/codec/connections.hpp"
#include "http/routes/common.hpp"

#include <nlohmann/json.hpp>

namespace sandy::http::routes {

namespace {

io_task<result<void>> connect(exchange& ex) {
  auto asked = co_await read_about_sandbox(ex, codec::parse_target);
  if (!asked)
    co_return asked.error();
  auto& server = ex.server();
  connect_sandboxes request{ex.caller(), asked->id, asked->body};
  auto made = co_await ask(server.worker, std::move(request), server.limits.control_timeout);
  if (!made)
    co_return made.error();
  co_await ex.reply(200, codec::to_json(*made, asked->id));
  co_return answered();
}

io_task<result<void>> let_go(exchange& ex, sandbox_id id, sandbox_id target) {
  auto& server = ex.server();
  disconnect_sandboxes request{ex.caller(), id, target};
  auto done = co_await ask(server.worker, std::move(request), server.limits.control_timeout);
  if (!done)
    co_return done.error();
  co_await ex.reply(200, codec::disconnected_json(id, target));
  co_return answered();
}

io_task<result<void>> disconnect(exchange& ex) {
  auto asked = co_await read_about_sandbox(ex, codec::parse_target);
  if (!asked)
    co_return asked.error();
  auto outcome = co_await let_go(ex, asked->id, asked->body);
  co_return outcome;
}

io_task<result<void>> remove(exchange& ex) {
  auto id = named_sandbox(ex);
  if (!id)
    co_return id.error();
  auto target = ex.param("target");
  if (!is_sandbox_id(target))
    co_return no_such_sandbox();
  auto outcome = co_await let_go(ex, *id, sandbox_id{std::string{target}});
  co_return outcome;
}

io_task<result<void>> list(exchange& ex) {
  auto id = named_sandbox(ex);
  if (!id)
    co_return id.error();
  auto& server = ex.server();
  auto all = co_await ask(server.worker, list_connections{ex.caller(), *id}, server.limits.control_timeout);
  if (!all)
    co_return all.error();
  co_await ex.reply(200, codec::to_json(*all, *id));
  co_return answered();
}

} // namespace

void add_connection_routes(std::vector<route>& table) {
  table.insert(table.end(), {{"POST", "/api/sandboxes/{id}/connect", answer<connect>},
                             {"DELETE", "/api/sandboxes/{id}/connect/{target}", answer<remove>},
                             {"POST", "/api/sandboxes/{id}/disconnect", answer<disconnect>},
                             {"GET", "/api/sandboxes/{id}/connections", answer<list>}});
}

} // namespace sandy::http::routes
