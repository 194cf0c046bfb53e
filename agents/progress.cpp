#include "agents/progress.hpp"

#include "agents/json_text.hpp"

namespace sandy::agents {

namespace {

constexpr std::size_t longest_words = 120;

/// A tool's name and, where people can tell what it is about, that.
std::string in_words(const json& tool) {
  auto words = text_at(tool, "name", "tool");
  for (const auto* field : {"command", "file_path", "path", "pattern"})
    if (auto about = text_at(at(tool, "input"), field); !about.empty()) {
      words += ": " + about.substr(0, about.find('\n'));
      break;
    }
  words.resize(cut_at(words, longest_words));
  return words;
}

} // namespace

std::vector<std::string> tools_used(std::string_view line) {
  std::vector<std::string> tools;
  if (line.find("\"tool_use\"") == std::string_view::npos)
    return tools;
  auto object = parse_object(line);
  if (!object || text_at(*object, "type") != "assistant") // stream events tell it once more, in pieces
    return tools;
  const auto& content = at(at(*object, "message"), "content");
  if (content.is_array())
    for (const auto& block : content)
      if (text_at(block, "type") == "tool_use")
        tools.push_back(in_words(block));
  return tools;
}

} // namespace sandy::agents
