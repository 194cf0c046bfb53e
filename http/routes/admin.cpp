#include "http/routes/routes.hpp"

#include "http/codec/limits.hpp"
#include "http/routes/common.hpp"

#include <nlohmann/json.hpp>

namespace sandy::http::routes {

namespace {

tenant_id named_tenant(const exchange& ex) { return {std::string{ex.param("tenant")}}; }

io_task<result<tenant_limits>> present_limits(exchange& ex) {
  auto& server = ex.server();
  get_tenant_limits question{named_tenant(ex)};
  auto limiter = server.limiter_of(question.tenant);
  auto limits = co_await ask(limiter, std::move(question), server.limits.control_timeout);
  co_return limits;
}

io_task<result<void>> get_limits(exchange& ex) {
  if (auto allowed = must_be_admin(ex); !allowed)
    co_return allowed;
  auto limits = co_await present_limits(ex);
  if (!limits)
    co_return limits.error();
  co_await ex.reply(200, codec::to_json(named_tenant(ex), *limits));
  co_return answered();
}

io_task<result<void>> put_limits(exchange& ex) {
  if (auto allowed = must_be_admin(ex); !allowed)
    co_return allowed;
  auto body = co_await read_json(ex);
  if (!body)
    co_return body.error();
  auto present = co_await present_limits(ex);
  if (!present)
    co_return present.error();
  auto wanted = codec::parse_limits(*body, *present);
  if (!wanted)
    co_return wanted.error();
  auto& server = ex.server();
  set_tenant_limits change{named_tenant(ex), *wanted};
  auto limiter = server.limiter_of(change.tenant);
  auto limits = co_await ask(limiter, std::move(change), server.limits.control_timeout);
  if (!limits)
    co_return limits.error();
  co_await ex.reply(200, codec::to_json(named_tenant(ex), *limits));
  co_return answered();
}

} // namespace

void add_admin_routes(std::vector<route>& table) {
  table.insert(table.end(), {{"GET", "/api/admin/limits/{tenant}", answer<get_limits>},
                             {"PUT", "/api/admin/limits/{tenant}", answer<put_limits>}});
}

} // namespace sandy::http::routes
