#include "http/routes/platform.hpp"

#include "http/platform/proxy.hpp"
#include "http/routes/common.hpp"

#include <nlohmann/json.hpp>

namespace sandy::http::routes {

namespace {

nlohmann::json amount(std::uint64_t nanos) { return static_cast<double>(nanos) / 1e9; }

/// null: there is no such bound.
nlohmann::json bound(std::uint64_t limit) { return limit == 0 ? nlohmann::json{} : nlohmann::json(limit); }

nlohmann::json usage_json(const sandbox_id& id, const platform::usage& used, const platform::budget& limits) {
  const auto tokens = used.input_tokens + used.output_tokens;
  nlohmann::json body{{"sandbox_id", id.value},
                      {"sandboxId", id.value},
                      {"requests", used.requests},
                      {"tokens", tokens},
                      {"violations", used.violations}};
  body["input_tokens"] = body["inputTokens"] = used.input_tokens;
  body["output_tokens"] = body["outputTokens"] = used.output_tokens;
  body["cost"] = body["cost_usd"] = body["costUsd"] = amount(used.cost_nanos);
  body["limits"] = {{"requests", bound(limits.requests)},
                    {"tokens", bound(limits.tokens)},
                    {"cost", limits.cost == 0 ? nlohmann::json{} : amount(limits.cost * 1000)}};
  return body;
}

io_task<result<void>> show(exchange& ex) {
  auto id = named_sandbox(ex);
  if (!id)
    co_return id.error();
  auto& server = ex.server();
  auto info = co_await ask(server.worker, get_sandbox{ex.caller(), *id}, server.limits.control_timeout);
  if (!info)
    co_return info.error();
  platform::usage used;
  platform::budget limits;
  if (server.platform != nullptr) {
    limits = server.platform->rules().limits;
    if (auto account = server.platform->ledgers().find(*id))
      used = account->used();
  }
  co_await ex.reply(200, usage_json(*id, used, limits));
  co_return answered();
}

} // namespace

void add_platform_routes(std::vector<route>& table) {
  table.push_back({"GET", "/api/sandboxes/{id}/usage", answer<show>});
}

} // namespace sandy::http::routes
