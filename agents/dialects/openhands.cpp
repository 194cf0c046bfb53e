#include "agents/dialects/openhands.hpp"

namespace sandy::agents {

namespace {

/// The texts in a list of blocks.
std::string text_of(const json& blocks) {
  std::string joined;
  if (blocks.is_array())
    for (const auto& one : blocks)
      joined += text_at(one, "text");
  return joined;
}

} // namespace

bool openhands_dialect::translate(const json& said) {
  auto kind = text_at(said, "kind");
  if (kind == "MessageEvent") {
    begin({});
    const auto& message = at(said, "llm_message");
    auto text = text_of(at(message, "content"));
    if (text.empty())
      return false;
    if (text_at(said, "source") != "user") { // the prompt, repeated
      think(text_at(message, "reasoning_content"));
      say(text);
    }
    return true;
  }
  if (kind == "ActionEvent")
    return act(said);
  if (kind == "ObservationEvent") {
    const auto& seen = at(said, "observation");
    tool_done(text_at(said, "tool_call_id"), text_of(at(seen, "content")), true_at(seen, "is_error"));
    return true;
  }
  if (kind == "AgentErrorEvent" || kind == "UserRejectObservation") {
    tool_done(text_at(said, "tool_call_id"),
              at(said, kind == "AgentErrorEvent" ? "error" : "rejection_reason"), true);
    return true;
  }
  if (kind == "ConversationErrorEvent") {
    auto why = text_at(said, "detail", text_at(said, "code"));
    complain(why);
    fail_with(why);
    return true;
  }
  return false;
}

bool openhands_dialect::act(const json& said) {
  auto name = text_at(said, "tool_name");
  const auto& action = at(said, "action");
  if (name.empty() || !action.is_object())
    return false;
  think(text_at(said, "reasoning_content"));
  say(text_of(at(said, "thought")));
  if (name == "finish" && at(action, "message").is_string())
    say(text_at(action, "message"));
  else if (name == "think" && at(action, "thought").is_string())
    think(text_at(action, "thought"));
  else
    use_tool(text_at(said, "tool_call_id"), name, action);
  return true;
}

bool openhands_dialect::hear(std::string_view line) {
  constexpr std::string_view id = "Conversation ID: ";
  if (line.starts_with(id)) {
    begin(std::string(line.substr(id.size())));
    return true;
  }
  if (line == "Agent is working") {
    go_on();
    return true;
  }
  if (line == "Agent finished" && ending_ != terminal::failure) {
    succeed();
    return true;
  }
  // Nothing but farewells follows it.
  in_summary_ |= line.find("CONVERSATION SUMMARY") != std::string_view::npos;
  return in_summary_;
}

} // namespace sandy::agents
