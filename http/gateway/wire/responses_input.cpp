#include "http/gateway/wire/responses_input.hpp"

#include "http/gateway/wire/responses_tools.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

namespace sandy::http::gateway::wire {

namespace {

using nlohmann::json;

// What only OpenAI's models can read, or what its own servers did.
constexpr std::array<std::string_view, 22> left_out{
    "reasoning",
    "compaction",
    "compaction_trigger",
    "context_compaction",
    "ghost_snapshot",
    "web_search_call",
    "file_search_call",
    "code_interpreter_call",
    "image_generation_call",
    "computer_call",
    "computer_call_output",
    "mcp_list_tools",
    "mcp_call",
    "mcp_approval_request",
    "mcp_approval_response",
    "tool_search_call",
    "tool_search_output",
    "additional_tools",
    "program",
    "program_output",
    "configuration_update",
    "moderation",
};

std::string dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

void read_part(const field& part, json& parts) {
  auto type_field = part.at("type");
  const auto& type = type_field.text();
  if (type == "input_text" || type == "output_text" || type == "text" || type == "summary_text") {
    parts.push_back(text_part(part.at("text").text()));
  } else if (type == "refusal") {
    parts.push_back(text_part(part.at("refusal").text()));
  } else if (type == "input_image") {
    auto url = part.at("image_url");
    if (!url.present())
      return url.refuse("is required: files of another service cannot be read here");
    const auto& detail = part.at("detail").text_or_empty();
    parts.push_back(image_part(url.text(), detail == "original" ? "high" : std::string_view{detail}));
  } else {
    type_field.refuse("\"" + type + "\" is not understood here: send its text");
  }
}

json read_parts(const field& content) {
  auto parts = json::array();
  if (!content.present())
    content.refuse("is required");
  else if (content.is_text())
    parts.push_back(text_part(content.text()));
  else
    content.each([&](field part) { read_part(part, parts); });
  return parts;
}

/// The texts of a message that can hold nothing else.
std::string read_text(const field& content) {
  std::string text;
  for (const auto& part : read_parts(content)) {
    if (part.at("type") != "text")
      content.refuse("must be text");
    else
      text.append(text.empty() ? "" : "\n").append(part.at("text").get_ref<const std::string&>());
  }
  return text;
}

void read_message(const field& message, conversation& into) {
  auto role_field = message.at("role");
  const auto& role = role_field.text();
  auto content = message.at("content");
  if (role == "user")
    into.add_user(read_parts(content));
  else if (role == "assistant")
    into.add_assistant(read_text(content));
  else if (role == "system" || role == "developer")
    into.add_system(read_text(content));
  else
    role_field.refuse("must be \"user\", \"assistant\", \"system\" or \"developer\"");
}

void read_call(const field& item, std::string arguments, conversation& into) {
  into.add_tool_call(item.at("call_id").text(),
                     responses_tools::chat_name(item.at("namespace").text_or_empty(), item.at("name").text()),
                     std::move(arguments));
}

void read_item(const field& item, conversation& into) {
  auto type_field = item.at("type");
  const auto& type = type_field.text_or_empty();
  if (type.empty() || type == "message") {
    read_message(item, into);
  } else if (type == "function_call") {
    read_call(item, item.at("arguments").text(), into);
  } else if (type == "custom_tool_call") {
    read_call(item, dump({{"input", item.at("input").text()}}), into);
  } else if (type == "local_shell_call") {
    auto action = item.at("action");
    if (action.object())
      into.add_tool_call(item.at("call_id").text(), "local_shell", dump(action.value()));
  } else if (type == "function_call_output" || type == "custom_tool_call_output") {
    into.add_tool_output(item.at("call_id").text(), read_parts(item.at("output")));
  } else if (type == "local_shell_call_output") { // its id is that of the call
    auto named = item.at("call_id").present() ? item.at("call_id").text() : item.at("id").text();
    into.add_tool_output(std::move(named), read_parts(item.at("output")));
  } else if (type == "item_reference") {
    type_field.refuse("refers to an earlier response, and none is kept here: send the whole input");
  } else if (std::ranges::find(left_out, type) == left_out.end()) {
    type_field.refuse("\"" + type + "\" is not understood here");
  }
}

} // namespace

void read_responses_input(const field& input, conversation& into) {
  if (!input.present())
    input.refuse("is required");
  else if (input.is_text())
    into.add_user(json::array({text_part(input.text())}));
  else
    input.each([&](field item) { read_item(item, into); });
}

} // namespace sandy::http::gateway::wire
