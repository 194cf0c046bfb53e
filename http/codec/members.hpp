#pragma once

#include <cstddef>
#include <string_view>

namespace sandy::http::codec {

/// Calls `each(key, value)` for every member of a JSON object that is known to be valid, in its order: both
/// as they are written, the key with its quotes. For whoever changes little of much text: no tree is made of
/// it.
template <class F>
void each_member(std::string_view object, F each) {
  constexpr std::string_view space = " \t\r\n";
  std::size_t depth = 0, begin = 0, colon = 0;
  bool quoted = false;
  auto part = [&](std::size_t from, std::size_t to) {
    auto text = object.substr(from, to - from);
    auto first = text.find_first_not_of(space);
    return first == text.npos ? text.substr(0, 0)
                              : text.substr(first, text.find_last_not_of(space) + 1 - first);
  };
  for (std::size_t i = 0; i < object.size(); ++i) {
    const char c = object[i];
    if (quoted) {
      i += c == '\\' ? 1 : 0;
      quoted = c != '"';
      continue;
    }
    quoted = c == '"';
    const auto closes = c == '}' || c == ']';
    if (depth == 1 && (c == ',' || closes) && colon > begin)
      each(part(begin, colon), part(colon + 1, i));
    if (depth == 1 && c == ',')
      begin = i + 1;
    else if (depth == 1 && c == ':')
      colon = i;
    else if (c == '{' || c == '[')
      begin = ++depth == 1 ? i + 1 : begin;
    else if (closes)
      --depth;
  }
}

} // namespace sandy::http::codec
