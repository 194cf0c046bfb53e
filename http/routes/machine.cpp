#include "http/routes/routes.hpp"

#include "http/auth.hpp"
#include "http/codec/fields.hpp"
#include "http/codec/machine.hpp"
#include "http/codec/time_format.hpp"
#include "http/routes/common.hpp"
#include "metrics/registry.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace sandy::http::routes {

namespace {

/// Ids of `?ids=a,b`; what cannot be an id is left out, as unknown ids are.
std::vector<sandbox_id> wanted_ids(std::string_view list) {
  std::vector<sandbox_id> ids;
  while (!list.empty()) {
    auto end = list.find(',');
    auto id = codec::trim(list.substr(0, end));
    if (is_sandbox_id(id))
      ids.push_back({std::string{id}});
    list.remove_prefix(end == std::string_view::npos ? list.size() : end + 1);
  }
  return ids;
}

/// Whether a sandbox asks: with its token, or from inside without a key. The machine's numbers are none of
/// its business.
bool asked_by_sandbox(exchange& ex) {
  auto asker = ex.caller();
  auto& server = ex.server();
  // On public routes nobody has looked at the key yet.
  if (auto token = bearer_token(ex.header("Authorization"));
      asker.tenant.value.empty() && !token.empty() && server.authenticate)
    asker = server.authenticate(token).value_or(principal{});
  return asker.tenant.value.empty() ? !ex.inside().sandbox.value.empty() : !asker.sandbox.value.empty();
}

caf::error not_for_sandboxes() { return fail(errc::forbidden, "This is not for sandboxes to know"); }

io_task<result<void>> stats(exchange& ex) {
  get_stats question{ex.caller(), {}};
  auto list = ex.query("ids");
  if (list && !codec::trim(*list).empty()) {
    question.ids = wanted_ids(*list);
    if (question.ids.empty()) { // no ids at all would mean every sandbox
      co_await ex.reply(200, nlohmann::json::array());
      co_return answered();
    }
  }
  auto& server = ex.server();
  auto asked = server.nodes != nullptr
                   ? ask(server.members, get_cluster_stats{question}, server.limits.control_timeout)
                   : ask(server.worker, question, server.limits.control_timeout);
  auto all = co_await std::move(asked);
  if (!all)
    co_return all.error();
  co_await ex.reply(200, codec::to_json(*all));
  co_return answered();
}

io_task<result<void>> resources(exchange& ex) {
  if (asked_by_sandbox(ex))
    co_return not_for_sandboxes();
  auto& server = ex.server();
  auto asked = server.nodes != nullptr
                   ? ask(server.members, get_cluster_resources{}, server.limits.control_timeout)
                   : ask(server.worker, get_resources{}, server.limits.control_timeout);
  auto left = co_await std::move(asked);
  if (!left)
    co_return left.error();
  co_await ex.reply(200, codec::to_json(*left));
  co_return answered();
}

io_task<result<void>> timeseries(exchange& ex) {
  if (asked_by_sandbox(ex))
    co_return not_for_sandboxes();
  get_timeseries question;
  if (auto text = ex.query("hours"); text && !text->empty()) {
    auto hours = codec::loose_number(std::string_view{*text});
    if (!hours)
      co_return fail(errc::validation_failed, "hours must be a number");
    question.hours = static_cast<std::uint32_t>(std::clamp(*hours, 1.0, 48.0));
  }
  auto& server = ex.server();
  auto samples = co_await ask(server.worker, question, server.limits.control_timeout);
  if (!samples)
    co_return samples.error();
  co_await ex.reply(200, codec::to_json(*samples));
  co_return answered();
}

/// The hottest route: one question to one actor, a body written by hand.
io_task<void> health(exchange& ex) {
  auto& server = ex.server();
  auto state = co_await ask(server.worker, get_health{}, server.limits.control_timeout);
  if (!state) {
    co_await ex.reply_error(state.error());
    co_return;
  }
  header_list extra;
  if (!state->accepting)
    extra.emplace_back("Retry-After", "1");
  auto body = codec::health_body(*state, server.version, ex.inside().sandbox.value.empty());
  if (ex.path() == "/health") // clients of gateways read when it was
    body.replace(body.size() - 1, 1, R"(,"timestamp":")" + codec::iso_time(unix_now()) + R"("})");
  co_await ex.reply_bytes(state->accepting ? 200 : 503, "application/json", std::move(body),
                          std::move(extra));
}

io_task<void> metrics(exchange& ex) {
  if (asked_by_sandbox(ex)) {
    co_await ex.reply_error(not_for_sandboxes());
    co_return;
  }
  auto text = ex.server().metrics.expose();
  co_await ex.reply_bytes(200, "text/plain; version=0.0.4; charset=utf-8", std::move(text));
}

} // namespace

void add_machine_routes(std::vector<route>& table) {
  table.insert(table.end(), {{"GET", "/api/sandboxes/stats", answer<stats>},
                             {"GET", "/api/resources", answer<resources>},
                             {"GET", "/api/metrics/timeseries", answer<timeseries>},
                             {"GET", "/api/health", health, true},
                             {"GET", "/health", health, true},
                             {"GET", "/metrics", metrics, true}});
}

} // namespace sandy::http::routes
