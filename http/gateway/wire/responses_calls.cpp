#include "http/gateway/wire/responses_calls.hpp"

#include "http/codec/fields.hpp"

#include <algorithm>
#include <utility>

namespace sandy::http::gateway::wire {

namespace {

using nlohmann::json;

json shell_action(const json& arguments) {
  json action{{"type", "exec"}, {"command", json::array()}, {"env", json::object()}};
  if (!arguments.is_object())
    return action;
  auto is_text = [](const json& value) { return value.is_string(); };
  if (auto command = arguments.find("command");
      command != arguments.end() && command->is_array() && std::ranges::all_of(*command, is_text))
    action["command"] = *command;
  if (auto place = arguments.find("working_directory"); place != arguments.end() && place->is_string())
    action["working_directory"] = *place;
  if (auto most = arguments.find("timeout_ms"); most != arguments.end() && most->is_number_unsigned())
    action["timeout_ms"] = *most;
  return action;
}

} // namespace

std::string_view call_prefix(tool_kind kind) noexcept {
  switch (kind) {
  case tool_kind::function:
    return "fc_";
  case tool_kind::custom:
    return "ctc_";
  case tool_kind::local_shell:
    return "lsh_";
  }
  return "fc_";
}

json call_item(const responses_tool& tool, std::string id, std::string call_id) {
  json item{{"id", std::move(id)}, {"call_id", std::move(call_id)}};
  if (tool.kind == tool_kind::local_shell) {
    item["type"] = "local_shell_call";
    item["action"] = shell_action({});
    return item;
  }
  auto custom = tool.kind == tool_kind::custom;
  item["type"] = custom ? "custom_tool_call" : "function_call";
  item[custom ? "input" : "arguments"] = "";
  item["name"] = tool.name;
  if (!tool.space.empty())
    item["namespace"] = tool.space;
  return item;
}

void fill_call(tool_kind kind, const std::string& arguments, json& item) {
  if (kind == tool_kind::function) {
    item["arguments"] = arguments;
    return;
  }
  auto read = codec::parse_untrusted(arguments);
  if (kind == tool_kind::local_shell) {
    item["action"] = shell_action(read);
    return;
  }
  auto input = read.is_object() ? read.find("input") : read.end();
  item["input"] = input != read.end() && input->is_string() ? *input : json(arguments);
}

} // namespace sandy::http::gateway::wire
