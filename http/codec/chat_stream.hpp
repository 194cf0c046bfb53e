#pragma once

#include "messages/error.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace sandy::http::codec {

/// Follows a stream of chat completions (server-sent events) that is passed on as it is, to know where a
/// comment may be put in and whether it came to its proper end: the line `data: [DONE]`. Holds a few bytes,
/// whatever comes.
class chat_stream {
public:
  /// How much of these bytes is to be passed on: all, or up to the end of the line that ends the stream.
  std::size_t take(std::string_view bytes);
  /// The end came: nothing is to follow but `closing`.
  bool done() const noexcept { return done_; }
  /// Between two lines: a comment would not tear one apart.
  bool between_lines() const noexcept { return line_bytes_ == 0; }
  /// What makes the stream end properly, after all that was passed on.
  /// @param why it broke off; no error: it ended by itself.
  std::string closing(const caf::error& why = {}) const;

private:
  bool is_end() const noexcept;

  static constexpr std::size_t longest = 32; ///< no line of interest is longer
  std::string line_;                         ///< the begin of the line that has not ended
  std::size_t line_bytes_ = 0;
  bool event_open_ = false; ///< lines of an event came, and not the empty one behind them
  bool done_ = false;
};

/// Keeps a silent stream alive.
inline constexpr std::string_view chat_ping = ": ping\n\n";

} // namespace sandy::http::codec
