#pragma once

#include <string>
#include <string_view>

namespace sandy::agents {

/// `prompt` with what an agent has to know about a project made with Vite and React whose page is open in a
/// browser. Meant for runs without `rawPrompt` in a workspace that is such a project, and for no others: the
/// text does not ask for web work where the prompt does not.
std::string wrapped_for_web_project(std::string_view prompt, std::string_view workspace);

} // namespace sandy::agents
