#include "agents/json_text.hpp"

#include <algorithm>

namespace sandy::agents {

namespace {

/// Whether brackets nest deeper than allowed. Looks at bytes only: what is not JSON fails in the parser
/// anyway.
bool too_deep(std::string_view text) {
  std::size_t depth = 0;
  auto in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto c = text[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > deepest_json)
        return true;
    } else if ((c == '}' || c == ']') && depth > 0) {
      --depth;
    }
  }
  return false;
}

/// Bytes of the valid UTF-8 sequence at the start of `text`; 0: there is none.
/// Follows table 3-7 of the Unicode standard (no overlong forms, no surrogates, nothing above U+10FFFF).
std::size_t sequence(std::string_view text) {
  auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  auto follows = [&](std::size_t i, unsigned low = 0x80, unsigned high = 0xBF) {
    return byte(i) >= low && byte(i) <= high;
  };
  auto first = byte(0);
  if (first < 0x80)
    return text.empty() ? 0 : 1;
  if (first >= 0xC2 && first <= 0xDF)
    return follows(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    auto low = first == 0xE0 ? 0xA0u : 0x80u;
    auto high = first == 0xED ? 0x9Fu : 0xBFu;
    return follows(1, low, high) && follows(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    auto low = first == 0xF0 ? 0x90u : 0x80u;
    auto high = first == 0xF4 ? 0x8Fu : 0xBFu;
    return follows(1, low, high) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

/// Whether the escape at `i` names the high ('h') or low ('l') half of a surrogate pair; 0: neither.
char surrogate(std::string_view text, std::size_t i) {
  auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  if (i + 6 > text.size() || text[i] != '\\' || text[i + 1] != 'u' || lower(text[i + 2]) != 'd')
    return 0;
  switch (lower(text[i + 3])) {
  case '8':
  case '9':
  case 'a':
  case 'b':
    return 'h';
  case 'c':
  case 'd':
  case 'e':
  case 'f':
    return 'l';
  default:
    return 0;
  }
}

} // namespace

std::optional<json> parse_object(std::string_view text) {
  // The parser takes a zero byte for the end of its input and would not look at what follows.
  if (text.find('\0') != std::string_view::npos || too_deep(text))
    return std::nullopt;
  auto parsed = json::parse(text, nullptr, false);
  if (!parsed.is_object())
    return std::nullopt;
  return parsed;
}

std::string mended(std::string_view line) {
  auto made = valid_utf8(line);
  for (auto i = made.find('\\'); i != std::string::npos; i = made.find('\\', i)) {
    auto half = surrogate(made, i);
    if (half == 0) {
      i += 2;
    } else if (half == 'h' && surrogate(made, i + 6) == 'l') {
      i += 12;
    } else {
      made.replace(i, 6, "\\ufffd");
      i += 6;
    }
  }
  return made;
}

std::string to_line(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

std::string json_quoted(std::string_view text) {
  auto made = to_line(json(std::string(text)));
  // JSON allows DEL as it is, TOML does not; the escape is good in both.
  for (auto found = made.find('\x7f'); found != std::string::npos; found = made.find('\x7f', found))
    made.replace(found, 1, "\\u007f");
  return made;
}

std::string valid_utf8(std::string_view text) {
  std::string made;
  made.reserve(text.size());
  while (!text.empty()) {
    auto length = sequence(text);
    if (length)
      made.append(text.substr(0, length));
    else
      made.append("\xEF\xBF\xBD");
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return made;
}

std::size_t cut_at(std::string_view text, std::size_t limit) {
  if (text.size() <= limit)
    return text.size();
  // A character has at most three bytes after its first; where there are more of them, it is no text anyway.
  for (auto end = limit; end + 3 >= limit && end > 0; --end)
    if ((static_cast<unsigned char>(text[end]) & 0xC0u) != 0x80u)
      return end;
  return limit;
}

const json& at(const json& object, std::string_view name) {
  static const json nothing;
  if (!object.is_object())
    return nothing;
  auto found = object.find(name);
  return found == object.end() ? nothing : *found;
}

std::string text_at(const json& object, std::string_view name, std::string_view otherwise) {
  const auto& value = at(object, name);
  return value.is_string() ? value.get_ref<const std::string&>() : std::string(otherwise);
}

std::uint64_t count_at(const json& object, std::string_view name) {
  const auto& value = at(object, name);
  if (value.is_number_unsigned())
    return value.get<std::uint64_t>();
  // Programs in languages without integers may print 12.0; beyond 2^53 such a number counts nothing.
  auto real = value.is_number_float() ? value.get<double>() : 0.0;
  return real >= 0 && real <= 9007199254740992.0 ? static_cast<std::uint64_t>(real) : 0;
}

bool true_at(const json& object, std::string_view name) {
  const auto& value = at(object, name);
  return value.is_boolean() && value.get<bool>();
}

std::string shown(const json& value) {
  if (value.is_string())
    return value.get<std::string>();
  return value.is_null() ? std::string() : to_line(value);
}

} // namespace sandy::agents
