#pragma once

#include "agents/json_text.hpp"

#include <string>

namespace sandy::agents {

/// A use of a tool as Claude would name it.
struct tool_use {
  std::string name;
  json input; ///< an object
};

/// What clients of Claude's stream understand of a tool of another agent: they look for the names Bash,
/// Write, Edit, Read, Glob, Grep, and for `command`, `file_path`, `content` and `pattern` in the input. All
/// that `input` had stays in it, under its own names; an input that is no object becomes {"input": ...}.
/// Unknown tools keep their name.
tool_use as_claude_tool(const std::string& name, const json& input);

} // namespace sandy::agents
