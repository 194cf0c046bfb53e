#include "http/codec/agent.hpp"

#include "http/codec/fields.hpp"
#include "http/codec/time_format.hpp"
#include "http/codec/utf8.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

namespace sandy::http::codec {

namespace {

using nlohmann::json;

// 24 days: what fits the timers; nobody means more.
constexpr double longest_run_ms = 2'147'483'647.0;
constexpr double usual_run_ms = 600'000;

double run_time_ms(field_reader& fields) {
  auto ms = fields.number({"maxDuration", "max_duration"});
  if (ms)
    *ms *= 1000;
  else
    ms = fields.number({"timeout_ms", "timeoutMs"});
  return ms && *ms > 0 ? std::min(*ms, longest_run_ms) : usual_run_ms;
}

json time_or_null(unix_millis time) { return time == 0 ? json() : json(iso_time(time)); }

std::int64_t duration_ms(const agent_run_info& run, unix_millis now) {
  return run.started_at == 0 ? 0 : (run.ended_at == 0 ? now : run.ended_at) - run.started_at;
}

std::string required(field_reader& fields, std::string_view name) {
  auto text = fields.text({name});
  if (!text || text->empty())
    fields.missing(name);
  return text.value_or("");
}

} // namespace

result<agent_request> parse_agent(const json& body) {
  agent_request request;
  auto& order = request.order;
  field_reader fields{body};
  order.agent = required(fields, "agent");
  order.model = required(fields, "model");
  order.prompt = required(fields, "prompt");
  order.max_ms = static_cast<std::uint64_t>(std::ceil(run_time_ms(fields)));
  order.raw_prompt = fields.boolean({"rawPrompt", "raw_prompt"}).value_or(false);
  order.system_prompt = fields.text({"systemPrompt", "system_prompt"}).value_or("");
  order.system_prompt_path = fields.text({"systemPromptPath", "system_prompt_path"}).value_or("");
  order.base_url = fields.text({"apiBaseUrl", "api_base_url"}).value_or("");
  order.api_key = fields.text({"apiKey", "api_key"}).value_or("");
  order.session_id = fields.text({"sessionId", "session_id"}).value_or("");
  order.directory = fields.path({"working_directory", "workingDirectory", "cwd", "workdir"}).value_or("");
  order.env = fields.env({"env", "envVars", "env_vars"});
  request.stream = fields.boolean({"stream"}).value_or(true);
  if (fields.failed())
    return fields.error();
  return request;
}

json status_json(const agent_run_info& run, unix_millis now) {
  auto ended = run.status != run_status::none && run.status != run_status::running;
  json all{{"running", run.status == run_status::running},
           {"runId", run.id.empty() ? json() : json(run.id)},
           {"run_id", run.id.empty() ? json() : json(run.id)},
           {"status", to_string(run.status)},
           {"agent", run.agent.empty() ? json() : json(run.agent)},
           {"model", run.model.empty() ? json() : json(repair_utf8(run.model))},
           {"error", run.error.empty() ? json() : json(repair_utf8(run.error))}};
  all["currentTask"] = all["current_task"] = run.current.empty() ? json() : json(repair_utf8(run.current));
  all["stepsCompleted"] = all["steps_completed"] = run.steps;
  all["filesModified"] = all["files_modified"] = run.files;
  all["startedAt"] = all["started_at"] = time_or_null(run.started_at);
  all["endedAt"] = all["ended_at"] = time_or_null(run.ended_at);
  all["durationMs"] = all["duration_ms"] = duration_ms(run, now);
  all["exitCode"] = all["exit_code"] = ended ? json(run.exit_code) : json();
  all["sessionId"] = all["session_id"] = run.session_id.empty() ? json() : json(repair_utf8(run.session_id));
  return all;
}

json outcome_json(const agent_run_info& run) {
  auto all = status_json(run, run.ended_at);
  all["status"] = run.status == run_status::succeeded ? "completed" : to_string(run.status);
  all["success"] = run.status == run_status::succeeded;
  all["cancelled"] = run.status == run_status::cancelled;
  all["output"] = repair_utf8(run.output);
  return all;
}

json runs_json(const std::vector<agent_run_info>& runs, unix_millis now) {
  auto list = json::array();
  for (const auto& each : runs) {
    list.push_back(status_json(each, now));
    list.back()["output"] = repair_utf8(each.output);
  }
  return {{"runs", std::move(list)}};
}

json to_json(const std::vector<agent_info>& agents, const std::vector<std::string>& models) {
  auto list = json::array();
  for (const auto& each : agents)
    list.push_back({{"id", each.id}, {"name", each.name}, {"installed", each.installed}});
  return {{"agents", std::move(list)}, {"models", models}};
}

std::string lost_run_events(const caf::error& why) {
  json error{{"type", "error"}, {"error", "The server lost the run"}, {"code", to_string(code_of(why))}};
  json end{{"type", "complete"}, {"exitCode", 1},   {"success", false},
           {"duration", 0.0},    {"durationMs", 0}, {"cancelled", false}};
  return "data: " + error.dump() + "\n\ndata: " + end.dump() + "\n\n";
}

} // namespace sandy::http::codec
