#include "agents/placeholders.hpp"

#include "agents/json_text.hpp"

#include <algorithm>

namespace sandy::agents {

namespace {

constexpr std::string_view as_json = "json:";

struct piece {
  std::string_view literal; ///< text before the placeholder
  std::string_view inside;  ///< what stands between its braces; empty: there was none, the text ends
};

/// Takes the text up to and including the next placeholder off the front of `rest`.
piece next(std::string_view& rest) {
  auto belongs = [](char c) { return (c >= 'a' && c <= 'z') || c == '_' || c == ':'; };
  for (auto open = rest.find('{'); open != std::string_view::npos; open = rest.find('{', open + 1)) {
    auto close = std::find_if_not(rest.begin() + open + 1, rest.end(), belongs) - rest.begin();
    auto length = static_cast<std::size_t>(close) - open - 1;
    if (length == 0 || static_cast<std::size_t>(close) == rest.size() || rest[close] != '}')
      continue;
    piece found{rest.substr(0, open), rest.substr(open + 1, length)};
    rest.remove_prefix(close + 1);
    return found;
  }
  piece last{rest, {}};
  rest = {};
  return last;
}

} // namespace

std::set<std::string> names_in(std::string_view text) {
  std::set<std::string> found;
  while (!text.empty()) {
    auto inside = next(text).inside;
    if (inside.starts_with(as_json))
      inside.remove_prefix(as_json.size());
    if (!inside.empty())
      found.emplace(inside);
  }
  return found;
}

std::string filled(std::string_view text, const values& known) {
  std::string made;
  while (!text.empty()) {
    auto [literal, inside] = next(text);
    made += literal;
    if (inside.empty())
      break;
    auto json_wanted = inside.starts_with(as_json);
    auto value = known.find(json_wanted ? inside.substr(as_json.size()) : inside);
    if (value == known.end())
      made.append("{").append(inside).append("}");
    else
      made += json_wanted ? json_quoted(value->second) : value->second;
  }
  return made;
}

} // namespace sandy::agents
