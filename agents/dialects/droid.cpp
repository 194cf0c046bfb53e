#include "agents/dialects/droid.hpp"

namespace sandy::agents {

bool droid_dialect::translate(const json& said) {
  auto type = text_at(said, "type");
  if (type == "system" && text_at(said, "subtype") == "init") {
    begin(text_at(said, "session_id"), text_at(said, "model"));
  } else if (type == "message") {
    return translate_message(said);
  } else if (type == "reasoning" && at(said, "text").is_string()) {
    think(text_at(said, "text"));
  } else if (type == "tool_call") {
    use_tool(text_at(said, "id"), text_at(said, "toolName"), at(said, "parameters"));
  } else if (type == "tool_result") {
    const auto& value = at(said, "value");
    tool_done(text_at(said, "id"), value.is_null() ? at(said, "error") : value, true_at(said, "isError"));
  } else if (type == "completion") {
    const auto& counts = at(said, "usage");
    used_ = {count_at(counts, "input_tokens"),
             count_at(counts, "output_tokens"),
             count_at(counts, "cache_read_input_tokens"),
             count_at(counts, "cache_creation_input_tokens"),
             {}};
    succeed(text_at(said, "finalText"));
  } else if (type == "error") {
    auto why = text_at(said, "message");
    complain(why);
    // The program's own "Exec failed" follows what really happened.
    if (ending_ != terminal::failure)
      fail_with(why);
  } else {
    return false;
  }
  return true;
}

bool droid_dialect::translate_message(const json& said) {
  auto text = text_at(said, "text");
  if (text.empty())
    return false;
  if (text_at(said, "role") != "user") // the prompt, repeated
    say(text);
  return true;
}

} // namespace sandy::agents
