#include "agents/dialects/codex.hpp"

namespace sandy::agents {

namespace {

/// The command as the model gave it: Codex shows `/bin/bash -lc '...'`. Left as it is where the quoting is
/// not simple.
std::string unwrapped(std::string command) {
  auto shell = command.find("bash -lc ");
  if (shell == std::string::npos || command.find(' ') < shell)
    return command;
  auto inner = command.substr(shell + 9);
  if (inner.size() < 2 || (inner.front() != '"' && inner.front() != '\'') || inner.back() != inner.front())
    return command;
  auto quote = inner.front();
  inner = inner.substr(1, inner.size() - 2);
  auto simple = quote == '"' ? inner.find_first_of("\"\\$`") == std::string::npos
                             : inner.find('\'') == std::string::npos;
  return simple ? inner : command;
}

/// What the tool gave back.
json outcome(const std::string& type, const json& item) {
  if (type == "command_execution")
    return at(item, "aggregated_output");
  if (type == "mcp_tool_call") {
    if (auto why = text_at(at(item, "error"), "message"); !why.empty())
      return why;
    return at(at(item, "result"), "content");
  }
  return at(item, "status");
}

bool has_failed(const json& item) {
  auto status = text_at(item, "status");
  const auto& code = at(item, "exit_code");
  return status == "failed" || status == "declined" || (code.is_number() && code != 0);
}

} // namespace

bool codex_dialect::translate(const json& said) {
  auto type = text_at(said, "type");
  if (type == "thread.started") {
    begin(text_at(said, "thread_id"));
    return true;
  }
  if (type == "turn.started") {
    go_on();
    return true;
  }
  if (type == "item.started" || type == "item.updated" || type == "item.completed")
    return translate_item(at(said, "item"), type == "item.completed");
  if (type == "turn.completed") {
    const auto& counts = at(said, "usage");
    used_ = {count_at(counts, "input_tokens"),
             count_at(counts, "output_tokens"),
             count_at(counts, "cached_input_tokens"),
             count_at(counts, "cache_write_input_tokens"),
             {}};
    succeed();
    return true;
  }
  if (type == "turn.failed") {
    fail_with(text_at(at(said, "error"), "message"));
    return true;
  }
  if (type == "error") {
    auto message = text_at(said, "message");
    if (message.starts_with("Reconnecting")) {
      note("api_retry", message);
    } else {
      complain(message);
      fail_with(message);
    }
    return true;
  }
  return false;
}

bool codex_dialect::translate_item(const json& item, bool completed) {
  auto type = text_at(item, "type");
  auto text = text_at(item, "text");
  if (type == "agent_message" && !text.empty()) {
    if (completed)
      say(text);
    return true;
  }
  if (type == "reasoning" && !text.empty()) {
    if (completed)
      think(text);
    return true;
  }
  if (type == "error") {
    note("notice", text_at(item, "message"));
    return true;
  }
  if (type == "todo_list") {
    use_tool(text_at(item, "id"), "TodoWrite", {{"todos", at(item, "items")}});
    return true;
  }
  if (type != "command_execution" && type != "file_change" && type != "mcp_tool_call" && type != "web_search")
    return false;
  auto id = text_at(item, "id");
  if (started_.insert(id).second)
    translate_use(id, type, item);
  if (completed) {
    tool_done(id, outcome(type, item), has_failed(item));
    started_.erase(id);
  }
  return true;
}

void codex_dialect::translate_use(const std::string& id, const std::string& type, const json& item) {
  if (type == "command_execution") {
    use_tool(id, "Bash", {{"command", unwrapped(shown(at(item, "command")))}});
  } else if (type == "mcp_tool_call") {
    use_tool(id, "mcp__" + text_at(item, "server") + "__" + text_at(item, "tool"), at(item, "arguments"));
  } else if (type == "web_search") {
    use_tool(id, "WebSearch", {{"query", at(item, "query")}});
  } else {
    // One change of several files: clients show a file per use.
    for (const auto& change : at(item, "changes"))
      use_tool(id, text_at(change, "kind") == "add" ? "Write" : "Edit",
               {{"file_path", text_at(change, "path")}});
  }
}

} // namespace sandy::agents
