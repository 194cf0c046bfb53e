#include "agents/dialects/cline.hpp"

#include <algorithm>

namespace sandy::agents {

namespace {

/// Whether a tool failed: it says why, or one of its parts says that it did not succeed.
bool has_failed(const json& event) {
  const auto& parts = at(event, "output");
  auto failed = [](const json& part) { return at(part, "success") == false; };
  return at(event, "error").is_string() ||
         (parts.is_array() && std::any_of(parts.begin(), parts.end(), failed));
}

} // namespace

bool cline_dialect::translate(const json& said) {
  auto type = text_at(said, "type");
  if (type == "hook_event") {
    begin(text_at(said, "taskId"));
    return true;
  }
  if (type == "agent_event")
    return translate_event(at(said, "event"));
  if (type == "error") {
    auto why = text_at(said, "message", text_at(at(said, "error"), "message"));
    complain(why);
    fail_with(why);
    return true;
  }
  if (type != "run_result")
    return false;
  const auto& counts = at(said, "usage");
  used_ = {count_at(counts, "inputTokens"),
           count_at(counts, "outputTokens"),
           count_at(counts, "cacheReadTokens"),
           count_at(counts, "cacheWriteTokens"),
           {}};
  if (const auto& cost = at(counts, "totalCost"); cost.is_number())
    used_.cost_usd = cost.get<double>();
  auto reason = text_at(said, "finishReason");
  if (reason == "completed")
    succeed(text_at(said, "text"));
  else
    fail_with(text_at(said, "text", reason));
  return true;
}

bool cline_dialect::translate_event(const json& event) {
  auto type = text_at(event, "type");
  if (type == "content_start" || type == "content_update" || type == "content_end")
    return translate_content(type, event);
  if (type == "iteration_start") {
    go_on();
    return true;
  }
  if (type == "error") {
    complain(text_at(at(event, "error"), "message"));
    return true;
  }
  // The last line has the sum of these, and the final text.
  return type == "iteration_end" || type == "usage" || type == "done";
}

bool cline_dialect::translate_content(const std::string& type, const json& event) {
  auto kind = text_at(event, "contentType");
  auto starts = type == "content_start";
  if (kind == "tool") {
    auto id = text_at(event, "toolCallId");
    if (starts)
      use_tool(id, text_at(event, "toolName"), at(event, "input"));
    else if (type == "content_end")
      tool_done(id, at(event, at(event, "output").is_null() ? "error" : "output"), has_failed(event));
    return true;
  }
  auto text = text_at(event, "text", text_at(event, "reasoning"));
  if ((kind != "text" && kind != "reasoning") || text.empty())
    return false;
  if (kind == "text")
    type == "content_end" ? say(text) : say_part(text);
  else
    type == "content_end" ? think(text) : think_part(text);
  return true;
}

} // namespace sandy::agents
