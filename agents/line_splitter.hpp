#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace sandy::agents {

/// Cuts a stream of bytes into lines, whatever the size of its parts. Ends of lines are LF or CRLF and are
/// not part of them. Holds no more than one longest line.
class line_splitter {
public:
  struct line {
    std::string_view text; ///< valid during the call only
    bool whole;            ///< false: one of several pieces of a line that is too long
    bool first;            ///< the beginning of a line
  };
  using receiver = std::function<void(line)>;

  /// A line with more bytes than that is handed on in pieces of at most that size, none of which splits a
  /// character.
  static constexpr std::size_t longest = 1024 * 1024;

  explicit line_splitter(std::size_t longest_line = longest)
      : longest_(longest_line) {}

  void feed(std::string_view bytes, const receiver& each);

  /// The stream ended: what is left is a line too.
  void finish(const receiver& each);

private:
  void emit(std::string_view line, const receiver& each);
  void hold(std::string_view part, const receiver& each);
  /// Hands on pieces of `text` until at most `most` bytes are left. @returns those.
  std::string_view shed(std::string_view text, std::size_t most, const receiver& each);

  std::size_t longest_;
  std::string held_;    ///< the line that has not ended yet
  bool broken_ = false; ///< part of it was handed on already
};

} // namespace sandy::agents
