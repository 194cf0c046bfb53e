#include "agents/dialects/gemini.hpp"

namespace sandy::agents {

bool gemini_dialect::translate(const json& said) {
  auto type = text_at(said, "type");
  if (type == "init") {
    begin(text_at(said, "session_id"), text_at(said, "model"));
    return true;
  }
  if (type == "message") {
    const auto& content = at(said, "content");
    if (!content.is_string() || content.empty())
      return false;
    if (text_at(said, "role") == "user") // the prompt, repeated
      return true;
    if (true_at(said, "delta")) {
      collect(content.get<std::string>());
    } else {
      say_collected();
      say(content.get<std::string>());
    }
    return true;
  }
  if (type == "tool_use") {
    say_collected();
    use_tool(text_at(said, "tool_id"), text_at(said, "tool_name"), at(said, "parameters"));
    return true;
  }
  if (type == "tool_result") {
    auto failed = text_at(said, "status") == "error";
    auto why = text_at(at(said, "error"), "message");
    tool_done(text_at(said, "tool_id"), failed && !why.empty() ? json(why) : at(said, "output"), failed);
    return true;
  }
  if (type == "error") {
    say_collected();
    complain(text_at(said, "message", text_at(at(said, "error"), "message")));
    return true;
  }
  if (type == "result") {
    end(said);
    return true;
  }
  return false;
}

void gemini_dialect::end(const json& said) {
  say_collected();
  const auto& counts = at(said, "stats");
  used_ = {
      count_at(counts, "input_tokens"), count_at(counts, "output_tokens"), count_at(counts, "cached"), 0, {}};
  if (text_at(said, "status") == "success")
    succeed();
  else
    fail_with(text_at(at(said, "error"), "message"));
}

} // namespace sandy::agents
