#include "http/gateway/wire/messages_request.hpp"

#include "http/gateway/wire/chat_fields.hpp"
#include "http/gateway/wire/conversation.hpp"
#include "http/gateway/wire/field.hpp"
#include "http/gateway/wire/messages_content.hpp"

#include <set>
#include <string_view>
#include <utility>

namespace sandy::http::gateway::wire {

namespace {

using nlohmann::json;

/// The instructions. Claude Code begins them with a line for Anthropic's accounts, which is no instruction
/// and which changes from release to release.
void read_system(const field& system, conversation& into) {
  if (!system.present())
    return;
  std::string text;
  for (const auto& part : messages_texts(system)) {
    if (part.starts_with("x-anthropic-billing-header:"))
      continue;
    text.append(text.empty() ? "" : "\n").append(part);
  }
  if (!text.empty())
    into.add_system(std::move(text));
}

void read_message(const field& message, conversation& into, std::set<std::string>& referenced) {
  auto role_field = message.at("role");
  const auto& role = role_field.text();
  auto content = message.at("content");
  if (role == "user") {
    read_user_content(content, into, referenced);
  } else if (role == "assistant") {
    read_assistant_content(content, into);
  } else if (role == "system") { // instructions may change in the middle of a conversation
    std::string text;
    for (const auto& part : messages_texts(content))
      text.append(text.empty() ? "" : "\n").append(part);
    into.add_system(std::move(text));
  } else {
    role_field.refuse("must be \"user\", \"assistant\" or \"system\"");
  }
}

/// The tools whose schema comes with the request. A deferred one is unknown to the model until a search for
/// tools has returned its name.
json read_tools(const field& tools, const std::set<std::string>& referenced) {
  auto list = json::array();
  tools.each([&](field tool) {
    auto type_field = tool.at("type");
    const auto& type = type_field.text_or_empty();
    if (!type.empty() && type != "custom") {
      for (std::string_view client : {"bash_", "text_editor_", "computer_", "memory_"})
        if (type.starts_with(client))
          type_field.refuse("names a tool that only Anthropic's models know; give its input_schema instead");
      return; // Anthropic's servers would run it
    }
    auto name = tool.at("name").text();
    if (tool.at("defer_loading").boolean().value_or(false) && !referenced.contains(name))
      return;
    auto schema = tool.at("input_schema");
    if (!schema.present())
      schema.refuse("is required");
    if (schema.object())
      list.push_back(function_tool(name, tool.at("description").text_or_empty(), schema.value()));
  });
  return list;
}

void read_tool_choice(const field& choice, json& chat) {
  if (!choice.object())
    return;
  auto type_field = choice.at("type");
  const auto& type = type_field.text();
  if (type == "auto" || type == "none")
    chat["tool_choice"] = type;
  else if (type == "any")
    chat["tool_choice"] = "required";
  else if (type == "tool")
    chat["tool_choice"] = {{"type", "function"}, {"function", {{"name", choice.at("name").text()}}}};
  else
    type_field.refuse("must be \"auto\", \"any\", \"tool\" or \"none\"");
  if (choice.at("disable_parallel_tool_use").boolean().value_or(false))
    chat["parallel_tool_calls"] = false;
}

/// Structured output: {"format": {"type": "json_schema", "schema"}}.
void read_output(const field& output, json& chat) {
  if (!output.object())
    return;
  auto format = output.at("format");
  if (!format.object())
    return;
  auto type = format.at("type");
  if (type.text() != "json_schema")
    return type.refuse("must be \"json_schema\"");
  auto schema = format.at("schema");
  if (schema.object())
    chat["response_format"] = {
        {"type", "json_schema"},
        {"json_schema", {{"name", "answer"}, {"schema", schema.value()}, {"strict", true}}}};
}

} // namespace

result<messages_request> read_messages_request(const json& body) {
  caf::error mistake;
  field request{body, mistake};
  messages_request read;
  read.chat = json::object();
  auto& chat = read.chat;
  chat["model"] = read.model = request.at("model").text();
  conversation talk;
  std::set<std::string> referenced;
  read_system(request.at("system"), talk);
  auto messages = request.at("messages");
  if (!messages.present())
    messages.refuse("is required");
  messages.each([&](field message) { read_message(message, talk, referenced); });
  if (messages.is_list() && messages.value().empty())
    messages.refuse("must not be empty");
  chat["messages"] = talk.take();
  auto tools = read_tools(request.at("tools"), referenced);
  read_tool_choice(request.at("tool_choice"), chat);
  set_tools(std::move(tools), request.at("tool_choice"), chat);
  set_number(request.at("temperature"), "temperature", chat);
  set_number(request.at("top_p"), "top_p", chat);
  if (auto most = request.at("max_tokens").whole(1))
    chat["max_tokens"] = *most;
  request.at("stop_sequences").each([&](field stop) { read.stop.push_back(stop.text()); });
  if (!read.stop.empty())
    chat["stop"] = read.stop;
  auto metadata = request.at("metadata");
  if (metadata.object())
    if (const auto& user = metadata.at("user_id").text_or_empty(); !user.empty())
      chat["user"] = user;
  read_output(request.at("output_config"), chat);
  auto thinking = request.at("thinking");
  if (thinking.object())
    read.thinking = thinking.at("type").text() != "disabled";
  if (auto servers = request.at("mcp_servers"); servers.is_list() && !servers.value().empty())
    servers.refuse("must be empty: no tools are run here");
  read.stream = set_stream(request.at("stream"), chat);
  set_extensions(request, chat);
  if (mistake)
    return mistake;
  return read;
}

} // namespace sandy::http::gateway::wire
