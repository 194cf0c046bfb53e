#include "http/gateway/wire/responses_request.hpp"

#include "http/gateway/wire/chat_fields.hpp"
#include "http/gateway/wire/conversation.hpp"
#include "http/gateway/wire/responses_input.hpp"

#include <utility>

namespace sandy::http::gateway::wire {

namespace {

using nlohmann::json;

/// What needs an earlier response, or a server that goes on without its client.
void refuse_state(const field& request) {
  for (auto name : {"previous_response_id", "conversation", "prompt"})
    if (auto kept = request.at(name); kept.present())
      kept.refuse("cannot be used: no response is kept here, so send the whole input");
  if (auto background = request.at("background"); background.boolean().value_or(false))
    background.refuse("must be false: no response is kept here");
}

/// {"type": "allowed_tools", "mode", "tools"}: all are described, some may be called; here the others are not
/// offered.
void read_allowed(const field& choice, responses_tools& tools, json& chat) {
  std::vector<std::string> names;
  choice.at("tools").each([&](field tool) { // hosted tools have no name
    names.push_back(
        responses_tools::chat_name(tool.at("namespace").text_or_empty(), tool.at("name").text_or_empty()));
  });
  tools.keep(names);
  auto mode = choice.at("mode");
  if (mode.text() != "auto" && mode.text() != "required")
    mode.refuse("must be \"auto\" or \"required\"");
  chat["tool_choice"] = mode.text();
}

void read_tool_choice(const field& choice, responses_tools& tools, json& chat) {
  if (choice.is_text()) {
    const auto& mode = choice.text();
    if (mode != "auto" && mode != "none" && mode != "required")
      choice.refuse("must be \"auto\", \"none\", \"required\" or an object");
    chat["tool_choice"] = mode;
    return;
  }
  if (!choice.object())
    return;
  auto type_field = choice.at("type");
  const auto& type = type_field.text();
  if (type == "allowed_tools")
    return read_allowed(choice, tools, chat);
  auto name = type;
  if (type == "function" || type == "custom")
    name = responses_tools::chat_name(choice.at("namespace").text_or_empty(), choice.at("name").text());
  else if (type != "local_shell")
    type_field.refuse("\"" + type + "\" is a tool that is not offered here");
  chat["tool_choice"] = {{"type", "function"}, {"function", {{"name", std::move(name)}}}};
}

void read_format(const field& text, json& chat) {
  if (!text.object())
    return;
  auto format = text.at("format");
  if (!format.object())
    return;
  auto type_field = format.at("type");
  const auto& type = type_field.text();
  if (type == "json_object") {
    chat["response_format"] = {{"type", type}};
  } else if (type == "json_schema") {
    auto schema_field = format.at("schema");
    if (!schema_field.object())
      return schema_field.refuse("is required");
    json schema{{"name", format.at("name").text()}, {"schema", schema_field.value()}};
    if (auto strict = format.at("strict").boolean())
      schema["strict"] = *strict;
    if (const auto& about = format.at("description").text_or_empty(); !about.empty())
      schema["description"] = about;
    chat["response_format"] = {{"type", type}, {"json_schema", std::move(schema)}};
  } else if (type != "text") {
    type_field.refuse("must be \"text\", \"json_object\" or \"json_schema\"");
  }
}

/// What a response says of its request: the fields that OpenAI's libraries expect in each.
json echo_of(const json& body) {
  json echo{{"object", "response"},
            {"background", false},
            {"instructions", nullptr},
            {"max_output_tokens", nullptr},
            {"metadata", json::object()},
            {"model", nullptr},
            {"parallel_tool_calls", true},
            {"previous_response_id", nullptr},
            {"reasoning", {{"effort", nullptr}, {"summary", nullptr}}},
            {"store", false},
            {"temperature", nullptr},
            {"text", {{"format", {{"type", "text"}}}}},
            {"tool_choice", "auto"},
            {"tools", json::array()},
            {"top_p", nullptr},
            {"truncation", "disabled"},
            {"user", nullptr}};
  for (auto name : {"instructions", "max_output_tokens", "metadata", "model", "parallel_tool_calls",
                    "reasoning", "temperature", "text", "tool_choice", "tools", "top_p", "user"})
    if (auto found = body.find(name); found != body.end() && !found->is_null())
      echo[name] = *found;
  return echo;
}

void read_reasoning(const field& reasoning, responses_request& read) {
  if (!reasoning.object())
    return;
  if (const auto& effort = reasoning.at("effort").text_or_empty(); !effort.empty())
    read.chat["reasoning_effort"] = effort;
  read.summary = reasoning.at("summary").present() || reasoning.at("generate_summary").present();
}

} // namespace

result<responses_request> read_responses_request(const json& body) {
  caf::error mistake;
  field request{body, mistake};
  responses_request read;
  read.chat = json::object();
  auto& chat = read.chat;
  chat["model"] = request.at("model").text();
  refuse_state(request);
  conversation talk;
  if (const auto& instructions = request.at("instructions").text_or_empty(); !instructions.empty())
    talk.add_system(instructions);
  auto input = request.at("input");
  read_responses_input(input, talk);
  chat["messages"] = talk.take();
  if (chat["messages"].empty())
    input.refuse("must not be empty");
  read.tools.read(request.at("tools"));
  read_tool_choice(request.at("tool_choice"), read.tools, chat);
  if (auto parallel = request.at("parallel_tool_calls").boolean())
    chat["parallel_tool_calls"] = *parallel;
  set_tools(read.tools.take_offers(), request.at("tool_choice"), chat);
  set_number(request.at("temperature"), "temperature", chat);
  set_number(request.at("top_p"), "top_p", chat);
  if (auto most = request.at("max_output_tokens").whole(1))
    chat["max_tokens"] = *most;
  for (auto name : {"user", "safety_identifier"})
    if (const auto& user = request.at(name).text_or_empty(); !user.empty())
      chat["user"] = user;
  if (auto metadata = request.at("metadata"); metadata.object() && !metadata.value().empty())
    chat["metadata"] = metadata.value();
  read_format(request.at("text"), chat);
  read_reasoning(request.at("reasoning"), read);
  read.stream = set_stream(request.at("stream"), chat);
  set_extensions(request, chat);
  if (mistake)
    return mistake;
  read.echo = echo_of(body);
  return read;
}

} // namespace sandy::http::gateway::wire
