#include "agents/dialects/sound_line.hpp"

#include <algorithm>

namespace sandy::agents {

namespace {

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
constexpr std::string_view white = " \t\r\n";

} // namespace

bool is_blank(std::string_view line) { return line.find_first_not_of(white) == std::string_view::npos; }

std::optional<sound_line> read_object(std::string_view line) {
  if (line.starts_with(byte_order_mark))
    line.remove_prefix(byte_order_mark.size());
  auto start = line.find_first_not_of(white);
  if (start == std::string_view::npos || line[start] != '{')
    return std::nullopt;
  line = line.substr(start, line.find_last_not_of(white) - start + 1);
  std::string text(line);
  auto object = parse_object(text);
  if (!object) {
    text = mended(line);
    object = text == line ? std::nullopt : parse_object(text);
  }
  if (!object)
    return std::nullopt;
  // Between the tokens JSON allows an end of line, which a stream of lines does not.
  std::replace(text.begin(), text.end(), '\r', ' ');
  std::replace(text.begin(), text.end(), '\n', ' ');
  return sound_line{std::move(text), std::move(*object)};
}

} // namespace sandy::agents
