#include "http/routes/routes.hpp"

#include "http/codec/agent.hpp"
#include "http/routes/common.hpp"
#include "http/routes/event_pump.hpp"
#include "http/routes/run_reader.hpp"

#include <caf/actor_cast.hpp>

#include <nlohmann/json.hpp>

namespace sandy::http::routes {

namespace {

/// The sandbox may have to read files before a run begins.
constexpr std::chrono::seconds begin_timeout{35};

/// The run has put its events into words already.
struct run_text {
  bool add(std::string& out, agent_events events) {
    out += events.text;
    return events.last;
  }
  void flush(std::string&) {}
};

io_task<result<agent_run_info>> read_to_end(run_reader& reader) {
  for (;;) {
    auto events = co_await reader.next();
    if (events->last)
      break;
  }
  auto info = co_await reader.info();
  co_return info;
}

io_task<result<void>> run(exchange& ex) {
  auto asked = co_await read_about_sandbox(ex, codec::parse_agent);
  if (!asked)
    co_return asked.error();
  run_agent request{ex.caller(), asked->id, std::move(asked->body.order)};
  auto started = co_await ask(ex.server().worker, std::move(request), begin_timeout);
  if (!started)
    co_return started.error();
  run_reader reader{caf::actor_cast<agent_run_actor>(started->run)};
  started->run = nullptr;
  if (asked->body.stream) {
    run_text format;
    co_await send_events(ex, reader, format);
    co_return answered();
  }
  auto info = co_await while_there(ex, read_to_end(reader));
  if (!info)
    co_return info.error();
  co_await ex.reply(200, codec::outcome_json(*info));
  co_return answered();
}

io_task<result<void>> cancel(exchange& ex) {
  auto id = named_sandbox(ex);
  if (!id)
    co_return id.error();
  auto& server = ex.server();
  auto cancelled = co_await ask(server.worker, cancel_agent{ex.caller(), *id}, server.limits.control_timeout);
  if (!cancelled)
    co_return cancelled.error();
  nlohmann::json body{{"success", true}, {"cancelled", *cancelled}};
  co_await ex.reply(200, body);
  co_return answered();
}

io_task<result<void>> status(exchange& ex) {
  auto id = named_sandbox(ex);
  if (!id)
    co_return id.error();
  auto& server = ex.server();
  auto info = co_await ask(server.worker, get_agent_run{ex.caller(), *id}, server.limits.control_timeout);
  if (!info)
    co_return info.error();
  co_await ex.reply(200, codec::status_json(*info, unix_now()));
  co_return answered();
}

io_task<result<void>> runs(exchange& ex) {
  auto id = named_sandbox(ex);
  if (!id)
    co_return id.error();
  auto& server = ex.server();
  auto all = co_await ask(server.worker, list_agent_runs{ex.caller(), *id}, server.limits.control_timeout);
  if (!all)
    co_return all.error();
  co_await ex.reply(200, codec::runs_json(*all, unix_now()));
  co_return answered();
}

io_task<result<void>> list(exchange& ex) {
  auto& server = ex.server();
  auto all = co_await ask(server.worker, list_agents{}, server.limits.control_timeout);
  if (!all)
    co_return all.error();
  co_await ex.reply(200, codec::to_json(*all, server.agent_models));
  co_return answered();
}

} // namespace

void add_agent_routes(std::vector<route>& table) {
  table.insert(table.end(),
               {{"POST", "/api/sandboxes/{id}/agent/run", answer<run>, false, request_cost::stream},
                {"POST", "/api/sandboxes/{id}/agent/cancel", answer<cancel>},
                {"GET", "/api/sandboxes/{id}/agent/status", answer<status>},
                {"GET", "/api/sandboxes/{id}/agent/runs", answer<runs>},
                {"GET", "/api/agents", answer<list>}});
}

} // namespace sandy::http::routes
