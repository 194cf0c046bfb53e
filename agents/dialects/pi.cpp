#include "agents/dialects/pi.hpp"

#include <algorithm>

namespace sandy::agents {

namespace {

/// The texts in a list of blocks, which is how pi keeps what a tool gave back.
json text_of(const json& result) {
  const auto& blocks = at(result, "content");
  if (!blocks.is_array())
    return result;
  std::string joined;
  for (const auto& one : blocks)
    joined += text_at(one, "text");
  return joined;
}

/// Whether a block of a message can be read. The use of a tool is told by lines of its own.
bool is_known(const json& block) {
  auto type = text_at(block, "type");
  return type == "toolCall" || ((type == "text" || type == "thinking") && at(block, type).is_string());
}

} // namespace

bool pi_dialect::translate(const json& said) {
  auto type = text_at(said, "type");
  if (type == "session") {
    begin(text_at(said, "id"));
    return true;
  }
  if (type == "agent_start" || type == "turn_start") {
    go_on();
    return true;
  }
  if (type == "message_update") {
    const auto& part = at(said, "assistantMessageEvent");
    auto kind = text_at(part, "type");
    if (kind == "text_delta")
      say_part(text_at(part, "delta"));
    else if (kind == "thinking_delta")
      think_part(text_at(part, "delta"));
    return part.is_object();
  }
  if (type == "message_end")
    return end_message(at(said, "message"));
  if (type == "tool_execution_start") {
    use_tool(text_at(said, "toolCallId"), text_at(said, "toolName"), at(said, "args"));
    return true;
  }
  if (type == "tool_execution_end") {
    tool_done(text_at(said, "toolCallId"), text_of(at(said, "result")), true_at(said, "isError"));
    return true;
  }
  if (type == "agent_end") {
    end(said);
    return true;
  }
  if (type == "auto_retry_start") {
    note("api_retry", text_at(said, "errorMessage"));
    return true;
  }
  // What these tell is told again, by the end of the message and of the tool.
  return type == "message_start" || type == "tool_execution_update" || type == "turn_end" ||
         type == "auto_retry_end";
}

bool pi_dialect::end_message(const json& message) {
  auto role = text_at(message, "role");
  if (role != "assistant")
    return role == "user" || role == "toolResult";
  const auto& blocks = at(message, "content");
  if (!blocks.is_array() || !std::all_of(blocks.begin(), blocks.end(), is_known))
    return false;
  for (const auto& block : blocks)
    if (text_at(block, "type") == "thinking")
      think(text_at(block, "thinking"));
    else
      say(text_at(block, "text"));
  const auto& counts = at(message, "usage");
  used_.input += count_at(counts, "input");
  used_.output += count_at(counts, "output");
  used_.cache_read += count_at(counts, "cacheRead");
  used_.cache_write += count_at(counts, "cacheWrite");
  return true;
}

void pi_dialect::end(const json& said) {
  const auto& messages = at(said, "messages");
  const auto& last = messages.is_array() && !messages.empty() ? messages.back() : at(said, "message");
  auto reason = text_at(last, "stopReason");
  if (reason == "error" || reason == "aborted")
    fail_with(text_at(last, "errorMessage", reason));
  else
    succeed();
}

} // namespace sandy::agents
