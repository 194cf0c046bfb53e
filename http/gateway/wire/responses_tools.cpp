#include "http/gateway/wire/responses_tools.hpp"

#include "http/gateway/wire/chat_fields.hpp"

#include <algorithm>
#include <utility>

namespace sandy::http::gateway::wire {

namespace {

using nlohmann::json;

json one_text(std::string_view name) {
  return {{"type", "object"},
          {"properties", {{name, {{"type", "string"}}}}},
          {"required", json::array({name})},
          {"additionalProperties", false}};
}

json shell_schema() {
  return json::parse(R"({"type": "object", "required": ["command"], "properties": {
    "command": {"type": "array", "items": {"type": "string"}, "description": "The program and its arguments"},
    "working_directory": {"type": "string"}, "timeout_ms": {"type": "integer"}}})");
}

/// The description of a custom tool. Its grammar binds OpenAI's models; others can be told only.
std::string custom_description(const field& tool) {
  auto text = tool.at("description").text_or_empty();
  auto format = tool.at("format");
  if (format.object() && format.at("type").text() == "grammar")
    text.append("\nThe input must match this grammar (")
        .append(format.at("syntax").text_or_empty())
        .append("):\n")
        .append(format.at("definition").text());
  return text;
}

} // namespace

std::string responses_tools::chat_name(std::string_view space, std::string_view name) {
  std::string whole{space};
  return (space.empty() ? whole : whole.append("__")).append(name);
}

responses_tool responses_tools::called(const std::string& chat_name) const {
  auto found = known_.find(chat_name);
  return found == known_.end() ? responses_tool{tool_kind::function, chat_name} : found->second;
}

void responses_tools::keep(const std::vector<std::string>& chat_names) {
  auto kept = json::array();
  for (auto& tool : offers_)
    if (std::ranges::find(chat_names, tool.at("function").at("name").get_ref<const std::string&>()) !=
        chat_names.end())
      kept.push_back(std::move(tool));
  offers_ = std::move(kept);
}

void responses_tools::read(const field& tools) {
  tools.each([&](field tool) { read_one(tool, {}); });
}

void responses_tools::read_one(const field& tool, const std::string& space) {
  const auto& type = tool.at("type").text();
  if (type == "function") {
    auto name = tool.at("name").text();
    auto parameters = tool.at("parameters");
    auto schema =
        parameters.object() ? parameters.value() : json{{"type", "object"}, {"properties", json::object()}};
    auto made =
        function_tool(chat_name(space, name), tool.at("description").text_or_empty(), std::move(schema));
    if (auto strict = tool.at("strict").boolean())
      made["function"]["strict"] = *strict;
    offer(std::move(made), {tool_kind::function, std::move(name), space});
  } else if (type == "custom") {
    auto name = tool.at("name").text();
    offer(function_tool(chat_name(space, name), custom_description(tool), one_text("input")),
          {tool_kind::custom, std::move(name), space});
  } else if (type == "local_shell") {
    offer(function_tool(type, "Runs a command and returns its output.", shell_schema()),
          {tool_kind::local_shell, type});
  } else if (type == "namespace" && space.empty()) {
    auto name = tool.at("name").text();
    tool.at("tools").each([&](field inner) { read_one(inner, name); });
  }
}

void responses_tools::offer(json tool, responses_tool known) {
  auto name = tool.at("function").at("name").get<std::string>();
  if (known_.emplace(std::move(name), std::move(known)).second)
    offers_.push_back(std::move(tool));
}

} // namespace sandy::http::gateway::wire
