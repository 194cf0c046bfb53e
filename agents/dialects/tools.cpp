#include "agents/dialects/tools.hpp"

#include <algorithm>
#include <initializer_list>
#include <string_view>

namespace sandy::agents {

namespace {

using words = std::initializer_list<std::string_view>;

struct member {
  std::string_view name; ///< as Claude calls it
  words others;          ///< as others do, the first that is there counts
};

struct tool {
  std::string_view name;
  words others;
  std::initializer_list<member> members;
};

const words paths{"filePath", "path", "absolute_path", "file", "filename", "target_file", "notebook_path"};
const words texts{"content", "file_text", "text", "contents", "new_file_contents"};

const std::initializer_list<tool> tools{
    {"Bash",
     {"bash", "shell", "sh", "exec", "execute", "exec_command", "local_shell", "run_shell_command",
      "execute_command", "run_command", "run_commands", "run_terminal_cmd", "shell_command", "terminal"},
     {{"command", {"cmd", "commands", "script", "argv"}}}},
    {"Write",
     {"write", "write_file", "create", "create_file", "write_to_file", "new_file"},
     {{"file_path", paths}, {"content", texts}}},
    {"Edit",
     {"edit", "edit_file", "replace", "str_replace", "replace_in_file", "multiedit", "editor", "apply_patch",
      "patch", "applypatch"},
     {{"file_path", paths}}},
    {"Read", {"read", "read_file", "read_files", "view", "view_file", "cat"}, {{"file_path", paths}}},
    {"Glob",
     {"glob", "find_files", "list_files", "find"},
     {{"pattern", {"glob", "patterns", "glob_pattern"}}}},
    {"Grep",
     {"grep", "rg", "search_file_content", "grep_search", "search_files", "search"},
     {{"pattern", {"query", "regex", "search"}}}},
    {"WebFetch", {"webfetch", "web_fetch", "fetch", "fetch_url"}, {}},
    {"WebSearch", {"websearch", "web_search", "google_web_search"}, {}},
    {"Task", {"task"}, {}},
};

std::string lower(std::string_view text) {
  std::string made(text);
  for (auto& c : made)
    if (c >= 'A' && c <= 'Z')
      c = static_cast<char>(c + 32);
  return made;
}

/// A command or a path as one text: several are joined, since clients show texts only.
json as_text(const json& value) {
  if (!value.is_array())
    return value;
  std::string joined;
  for (const auto& one : value)
    joined += (joined.empty() ? "" : " ") + shown(one);
  return joined;
}

/// The name to look for. Some editors are one tool whose input says what is to be done.
std::string called(const std::string& name, const json& input) {
  auto wanted = lower(name);
  if (wanted != "file_editor" && wanted != "str_replace_editor")
    return wanted;
  auto command = text_at(input, "command");
  return command == "view" ? "read" : command == "create" ? "write" : "edit";
}

} // namespace

tool_use as_claude_tool(const std::string& name, const json& input) {
  tool_use made{name, input.is_object() ? input : json::object()};
  if (!input.is_object() && !input.is_null())
    made.input["input"] = input;
  auto wanted = called(name, made.input);
  auto known = std::find_if(tools.begin(), tools.end(), [&](const tool& one) {
    return lower(one.name) == wanted ||
           std::find(one.others.begin(), one.others.end(), wanted) != one.others.end();
  });
  if (known == tools.end())
    return made;
  made.name = known->name;
  for (const auto& [member_name, others] : known->members)
    for (auto other : others)
      if (!made.input.contains(member_name) && made.input.contains(other))
        made.input[std::string(member_name)] = as_text(at(input, other));
  return made;
}

} // namespace sandy::agents
