#include "http/gateway/wire/chat_fields.hpp"

#include <algorithm>
#include <utility>

namespace sandy::http::gateway::wire {

using nlohmann::json;

json function_tool(std::string_view name, std::string_view description, json schema) {
  json function{{"name", name}, {"parameters", std::move(schema)}};
  if (!description.empty())
    function["description"] = description;
  return {{"type", "function"}, {"function", std::move(function)}};
}

void set_tools(json tools, const field& choice, json& chat) {
  auto chosen = chat.find("tool_choice");
  if (chosen != chat.end()) {
    if (chosen->is_object()) {
      const auto& name = chosen->at("function").at("name");
      if (std::ranges::none_of(tools,
                               [&](const json& tool) { return tool.at("function").at("name") == name; }))
        choice.refuse("names a tool that is not offered");
    } else if (tools.empty()) {
      if (*chosen == "required")
        choice.refuse("asks for a tool where none is offered");
      chat.erase(chosen);
    }
  }
  if (tools.empty())
    chat.erase("parallel_tool_calls");
  else
    chat["tools"] = std::move(tools);
}

void set_number(const field& number, std::string_view name, json& chat) {
  if (number.number())
    chat[std::string{name}] = number.value();
}

bool set_stream(const field& stream, json& chat) {
  auto wanted = stream.boolean().value_or(false);
  chat["stream"] = wanted;
  if (wanted)
    chat["stream_options"] = {{"include_usage", true}};
  return wanted;
}

void set_extensions(const field& request, json& chat) {
  for (auto name : {"competitor_id", "user_id", "enable_memory", "generation_flags", "chutes_access_token",
                    "browser_session_id"})
    if (auto extension = request.at(name); extension.present())
      chat[name] = extension.value();
}

} // namespace sandy::http::gateway::wire
