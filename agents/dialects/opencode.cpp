#include "agents/dialects/opencode.hpp"

namespace sandy::agents {

namespace {

/// What went wrong, from `error {name, data {message}}`.
std::string reason(const json& error) {
  if (auto text = text_at(at(error, "data"), "message"); !text.empty())
    return text;
  return text_at(error, "message", text_at(error, "name"));
}

} // namespace

bool opencode_dialect::translate(const json& said) {
  auto type = text_at(said, "type");
  const auto& part = at(said, "part");
  auto text = text_at(part, "text");
  auto known = type == "step_start" || type == "step_finish" || type == "tool_use" || type == "error";
  if (!known && ((type != "text" && type != "reasoning") || text.empty()))
    return false;
  begin(text_at(said, "sessionID"));
  if (type == "step_start") {
    go_on();
  } else if (type == "text") {
    say(text);
  } else if (type == "reasoning") {
    think(text);
  } else if (type == "error") {
    auto why = reason(at(said, "error"));
    complain(why);
    fail_with(why);
  } else if (type == "tool_use") {
    const auto& state = at(part, "state");
    auto id = text_at(part, "callID");
    auto failed = text_at(state, "status") == "error";
    use_tool(id, text_at(part, "tool"), at(state, "input"));
    tool_done(id, at(state, failed ? "error" : "output"), failed);
  } else {
    finish_step(part);
  }
  return true;
}

void opencode_dialect::finish_step(const json& part) {
  const auto& counts = at(part, "tokens");
  used_.input += count_at(counts, "input");
  used_.output += count_at(counts, "output");
  used_.cache_read += count_at(at(counts, "cache"), "read");
  used_.cache_write += count_at(at(counts, "cache"), "write");
  if (const auto& cost = at(part, "cost"); cost.is_number())
    used_.cost_usd = used_.cost_usd.value_or(0) + cost.get<double>();
  auto reason = text_at(part, "reason");
  // After these the program asks the model again; after any other it is done.
  if (reason == "tool-calls" || reason == "unknown")
    return;
  if (reason == "error" || reason == "content-filter")
    fail_with("the model ended its answer: " + reason);
  else
    succeed();
}

} // namespace sandy::agents
