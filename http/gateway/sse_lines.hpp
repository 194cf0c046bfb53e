#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sandy::http::gateway {

/// Makes of a model's event stream what its client is to see: every line that begins with `data:` or `:`,
/// followed by an empty line; other lines are dropped, and so is `data: [DONE]`, which is only noted. An
/// empty `usage` ("usage": null) is left out, because there are clients that stumble over it. Lines end with
/// LF, CR or both. Of a line at most `held_bytes` are kept in memory: longer ones pass in pieces.
class sse_lines {
public:
  static constexpr std::size_t held_bytes = 64 * 1024;

  /// Takes what came, and appends what is to be sent. What follows [DONE] is nobody's business.
  void feed(std::string_view bytes, std::string& out);
  /// The stream ended properly: a last line without its end counts as one.
  void finish(std::string& out);
  /// The stream broke: what was begun of a line is ended, so that another can follow.
  void break_off(std::string& out);

  /// What was passed on last was a whole line.
  bool between_lines() const noexcept { return at_ != place::passing; }
  bool done() const noexcept { return done_; }                  ///< [DONE] came
  std::uint64_t events() const noexcept { return data_lines_; } ///< `data:` lines that were passed on
  /// The JSON of the last line that told how many tokens were used; empty: none did.
  const std::string& usage_line() const noexcept { return usage_line_; }

private:
  enum class place : std::uint8_t {
    begin,   ///< of a line, whose first bytes may be held
    passing, ///< within a long line that is passed on
    dropping ///< within a line that is not
  };
  std::string_view up_to_line_end(std::string_view& bytes, bool& ended);
  void take_line(std::string_view line, std::string& out);
  void take_part(std::string_view part, bool ended, std::string& out);
  void pass_held(std::size_t keep, std::string& out);

  std::string held_; ///< what came of this line and was not passed on yet
  place at_ = place::begin;
  bool after_cr_ = false; ///< an LF that comes next belongs to the CR before
  bool done_ = false;
  std::uint64_t data_lines_ = 0;
  std::string usage_line_;
};

/// Appends the line without the empty `usage` in it, if there is one. Works on the text: between its quotes
/// a key cannot be mistaken for a part of a string, where a quote is escaped.
void append_without_empty_usage(std::string& out, std::string_view line);

/// Hands out the payloads of an event stream as `sse_lines` writes it: for whoever makes something else of
/// it.
class sse_payloads {
public:
  /// A longer line is no event that anybody made for a program to read.
  static constexpr std::size_t most_bytes = 16 * 1024 * 1024;

  /// Calls `take(payload)` for each whole `data:` line, [DONE] among them; comments are left out. False: a
  /// line is too long.
  template <class F>
  bool feed(std::string_view text, F take) {
    while (!text.empty()) {
      auto end = text.find('\n');
      auto part = text.substr(0, end);
      if (line_.size() + part.size() > most_bytes)
        return false;
      if (end == std::string_view::npos) {
        line_.append(part);
        return true;
      }
      text.remove_prefix(end + 1);
      if (!line_.empty()) {
        line_.append(part);
        part = line_;
      }
      if (part.starts_with("data:"))
        take(part.substr(part.starts_with("data: ") ? 6 : 5));
      line_.clear();
    }
    return true;
  }

private:
  std::string line_;
};

} // namespace sandy::http::gateway
