#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sandy::agents {

/// The tools that an object of Claude's stream format says the agent uses, in a few words each ("Bash: npm
/// test"). Cheap for objects that use none, which most are.
std::vector<std::string> tools_used(std::string_view json);

} // namespace sandy::agents
