#include "http/codec/utf8.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace sandy::http::codec {

namespace {

/// What stands at the begin of some bytes.
struct step {
  std::size_t length = 0; ///< of the character, or of the ill-formed part
  enum { good, bad, unfinished } kind = good;
};

step next_character(const unsigned char* at, std::size_t left) {
  auto lead = at[0];
  if (lead < 0x80)
    return {1, step::good};
  std::size_t length = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  if (length == 0)
    return {1, step::bad};
  // The second byte's range excludes overlong forms, surrogates and what is beyond U+10FFFF.
  unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  for (std::size_t i = 1; i < length; ++i) {
    if (i == left)
      return {i, step::unfinished};
    if (at[i] < low || at[i] > high)
      return {i, step::bad};
    low = 0x80;
    high = 0xbf;
  }
  return {length, step::good};
}

/// Skips what is plain ASCII, eight bytes at a time: most output is.
std::size_t skip_ascii(const unsigned char* bytes, std::size_t from, std::size_t size) {
  constexpr std::uint64_t high_bits = 0x8080808080808080;
  while (from + 8 <= size) {
    std::uint64_t word;
    std::memcpy(&word, bytes + from, 8);
    if (word & high_bits)
      break;
    from += 8;
  }
  while (from < size && bytes[from] < 0x80)
    ++from;
  return from;
}

} // namespace

std::size_t utf8_prefix(std::string_view text) noexcept {
  auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  for (std::size_t at = 0;;) {
    at = skip_ascii(bytes, at, text.size());
    if (at == text.size())
      return at;
    auto found = next_character(bytes + at, text.size() - at);
    if (found.kind != step::good)
      return at;
    at += found.length;
  }
}

std::size_t utf8_incomplete_tail(std::string_view text) noexcept {
  auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  for (std::size_t back = 1; back <= std::min<std::size_t>(3, text.size()); ++back) {
    auto at = text.size() - back;
    if (bytes[at] >= 0xc0)
      return next_character(bytes + at, back).kind == step::unfinished ? back : 0;
    if (bytes[at] < 0x80)
      return 0;
  }
  return 0;
}

std::string repair_utf8(std::string text) {
  auto good = utf8_prefix(text);
  if (good == text.size())
    return text;
  auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  std::string out{text, 0, good};
  for (auto at = good; at < text.size();) {
    auto found = next_character(bytes + at, text.size() - at);
    if (found.kind == step::good)
      out.append(text, at, found.length);
    else
      out.append("\xef\xbf\xbd");
    at += found.length;
  }
  return out;
}

bool utf8_checker::feed(std::string_view piece) {
  // Finish the split character on its own, so that the piece itself is never copied.
  while (good_ && !held_.empty() && !piece.empty()) {
    held_.push_back(piece.front());
    piece.remove_prefix(1);
    auto found = next_character(reinterpret_cast<const unsigned char*>(held_.data()), held_.size());
    if (found.kind == step::good)
      held_.clear();
    else if (found.kind == step::bad)
      good_ = false;
  }
  if (!good_)
    return false;
  auto tail = utf8_incomplete_tail(piece);
  good_ = utf8_prefix(piece) == piece.size() - tail;
  held_.append(piece.substr(piece.size() - tail));
  return good_;
}

void append_json_escaped(std::string& out, std::string_view text) {
  static constexpr char hex[] = "0123456789abcdef";
  std::size_t plain = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\')
      continue;
    out.append(text, plain, i - plain);
    plain = i + 1;
    switch (c) {
    case '"':
      out.append("\\\"");
      break;
    case '\\':
      out.append("\\\\");
      break;
    case '\n':
      out.append("\\n");
      break;
    case '\r':
      out.append("\\r");
      break;
    case '\t':
      out.append("\\t");
      break;
    default:
      out.append("\\u00").append({hex[c >> 4], hex[c & 15]});
    }
  }
  out.append(text, plain);
}

} // namespace sandy::http::codec
