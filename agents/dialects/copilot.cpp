#include "agents/dialects/copilot.hpp"

#include <set>

namespace sandy::agents {

namespace {

/// What happens inside the program, or is told again by another line.
const std::set<std::string, std::less<>> unsaid{
    "assistant.idle",        "assistant.message_start",          "assistant.tool_call_delta",
    "assistant.turn_end",    "model.call_final_result",          "model.call_finished",
    "model.call_start",      "session.background_tasks_changed", "session.mcp_servers_loaded",
    "session.skills_loaded", "tool.execution_partial_result",    "tool.shell_output",
    "user.message",
};

} // namespace

bool copilot_dialect::translate(const json& said) {
  auto type = text_at(said, "type");
  if (unsaid.contains(type))
    return true;
  if (type != "result")
    return translate_data(type, at(said, "data"));
  begin(text_at(said, "sessionId"));
  if (at(said, "exitCode") == 0)
    succeed();
  else if (ending_ != terminal::failure)
    fail_with("the agent ended with exit code " + shown(at(said, "exitCode")));
  return true;
}

bool copilot_dialect::translate_data(const std::string& type, const json& data) {
  auto content = text_at(data, "content");
  if (type == "session.tools_updated") {
    begin({}, text_at(data, "model"));
  } else if (type == "assistant.turn_start") {
    go_on();
  } else if (type == "assistant.message_delta") {
    say_part(text_at(data, "deltaContent"));
  } else if (type == "assistant.message" && at(data, "content").is_string()) {
    say(content);
  } else if (type == "assistant.reasoning_delta") {
    think_part(text_at(data, "deltaContent"));
  } else if (type == "assistant.reasoning" && !content.empty()) {
    think(content);
  } else if (type == "tool.execution_start") {
    use_tool(text_at(data, "toolCallId"), text_at(data, "toolName"), at(data, "arguments"));
  } else if (type == "tool.execution_complete") {
    const auto& result = at(at(data, "result"), "content");
    tool_done(text_at(data, "toolCallId"), result.is_null() ? at(at(data, "error"), "message") : result,
              !true_at(data, "success"));
  } else if (type == "session.info" || type == "session.warning") {
    note("notice", text_at(data, "message"));
  } else if (type == "model.call_failure") {
    note("api_retry", shown(at(data, "errorMessage")));
  } else if (type == "session.error") {
    auto why = text_at(data, "message");
    complain(why);
    fail_with(why);
  } else {
    return false;
  }
  return true;
}

} // namespace sandy::agents
