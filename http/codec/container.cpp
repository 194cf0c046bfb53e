#include "http/codec/container.hpp"

#include "http/codec/fields.hpp"
#include "http/codec/time_format.hpp"
#include "http/codec/utf8.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

namespace sandy::http::codec {

namespace {

using nlohmann::json;

constexpr double longest_request_s = 3600;
constexpr std::int64_t longest_grace_s = 60, most_restarts = 1000;

restart_policy policy_from(field_reader& fields) {
  auto text = fields.text({"restart_policy", "restartPolicy", "restart"});
  if (!text)
    return restart_policy::on_failure;
  for (auto each : {restart_policy::never, restart_policy::on_failure, restart_policy::always})
    if (*text == to_string(each))
      return each;
  fields.refuse(errc::invalid_argument, "restart_policy must be no, on-failure or always");
  return restart_policy::never;
}

std::vector<std::string> command_from(field_reader& fields) {
  const auto* given = fields.find({"command", "cmd"});
  std::vector<std::string> words;
  if (given == nullptr)
    return words;
  if (given->is_string()) // as a shell is told
    return {"/bin/sh", "-c", given->get<std::string>()};
  if (!given->is_array())
    fields.refuse(errc::validation_failed, "command must be a string, or a list of strings");
  else
    for (const auto& each : *given) {
      if (!each.is_string() || each.get_ref<const std::string&>().find('\0') != std::string::npos) {
        fields.refuse(errc::validation_failed, "command must be a string, or a list of strings");
        break;
      }
      words.push_back(each.get<std::string>());
    }
  return words;
}

json time_or_null(unix_millis time) { return time == 0 ? json() : json(iso_time(time)); }

} // namespace

result<container_order> parse_container(const json& body) {
  container_order order;
  field_reader fields{body};
  order.image = fields.text({"image"}).value_or("");
  if (order.image.empty())
    fields.missing("image");
  order.name = fields.text({"name"}).value_or("");
  order.env = fields.env({"env", "envVars", "env_vars"});
  order.llm_api_key = fields.text({"llm_api_key", "llmApiKey"}).value_or("");
  order.memory_url = fields.text({"memory_url", "memoryUrl"}).value_or("");
  order.search_url = fields.text({"search_url", "searchUrl"}).value_or("");
  for (const auto* each : {&order.llm_api_key, &order.memory_url, &order.search_url})
    if (each->find('\0') != std::string::npos)
      fields.refuse(errc::invalid_argument, "A key or a URL contains a NUL byte");
  if (auto seconds = fields.number({"timeout", "timeout_seconds", "timeoutSeconds"}); seconds && *seconds > 0)
    order.timeout_seconds = static_cast<std::uint32_t>(std::ceil(std::min(*seconds, longest_request_s)));
  order.port = static_cast<std::uint16_t>(fields.whole({"port"}, 1, 65'535).value_or(order.port));
  order.command = command_from(fields);
  order.restart = policy_from(fields);
  order.max_restarts = static_cast<std::uint32_t>(
      fields.whole({"max_restarts", "maxRestarts"}, 0, most_restarts).value_or(order.max_restarts));
  if (fields.failed())
    return fields.error();
  return order;
}

result<std::uint32_t> parse_stop(const json& body) {
  field_reader fields{body};
  auto seconds = fields.whole({"grace", "grace_seconds", "graceSeconds", "timeout"}, 0, longest_grace_s);
  if (fields.failed())
    return fields.error();
  return static_cast<std::uint32_t>(seconds.value_or(stop_container{}.grace_seconds));
}

json to_json(const container_info& container) {
  const auto& c = container;
  const auto ended = c.ended_at != 0;
  json all{{"id", c.id.value},
           {"name", c.name.empty() ? json() : json(repair_utf8(c.name))},
           {"image", repair_utf8(c.image)},
           {"port", c.port},
           {"status", to_string(c.status)},
           {"health", to_string(c.health)},
           {"restarts", c.restarts},
           {"timeout", c.timeout_seconds},
           {"workload", c.workload},
           {"endpoint", "http://localhost:" + std::to_string(c.port) + "/v1/chat/completions"},
           {"error", c.error.empty() ? json() : json(repair_utf8(c.error))}};
  all["container_id"] = all["containerId"] = c.id.value;
  all["sandbox_id"] = all["sandboxId"] = c.sandbox.value;
  all["restart_policy"] = all["restartPolicy"] = to_string(c.restart);
  all["created_at"] = all["createdAt"] = time_or_null(c.created_at);
  all["started_at"] = all["startedAt"] = time_or_null(c.started_at);
  all["ended_at"] = all["endedAt"] = time_or_null(c.ended_at);
  all["exit_code"] = all["exitCode"] = ended ? json(c.exit_code) : json();
  return all;
}

json to_json(const std::vector<container_info>& containers) {
  auto list = json::array();
  for (const auto& each : containers)
    list.push_back(to_json(each));
  return {{"containers", std::move(list)}};
}

} // namespace sandy::http::codec
