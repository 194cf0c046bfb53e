#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sandy::http::codec {

/// Length of the longest prefix that is well-formed UTF-8 (Unicode 15, table 3-7).
std::size_t utf8_prefix(std::string_view bytes) noexcept;

inline bool is_utf8(std::string_view bytes) noexcept { return utf8_prefix(bytes) == bytes.size(); }

/// How many bytes at the end (0 to 3) may be the begin of a character whose rest is still to come.
std::size_t utf8_incomplete_tail(std::string_view bytes) noexcept;

/// Replaces what is not UTF-8 by U+FFFD, one per maximal ill-formed part, as browsers and Python do. Text
/// that is UTF-8 is returned as it is, without a copy.
std::string repair_utf8(std::string bytes);

/// Checks text that comes in pieces, which may split characters.
class utf8_checker {
public:
  /// False once anything was wrong.
  bool feed(std::string_view piece);
  /// True when all was well and no character is unfinished.
  bool finish() const noexcept { return good_ && held_.empty(); }

private:
  bool good_ = true;
  std::string held_;
};

/// Appends UTF-8 text as the inside of a JSON string. Works byte by byte, so a text may come in any pieces.
void append_json_escaped(std::string& out, std::string_view text);

} // namespace sandy::http::codec
