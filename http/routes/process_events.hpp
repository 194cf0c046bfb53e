#pragma once

#include "messages/sandbox_io.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace sandy::http::routes {

/// Writes process events as server-sent events: `stdout` and `stderr` with {"offset", "text"}, or "base64"
/// where the bytes are not UTF-8; `gap` with {"from", "to"}; `exit`. An event's id is the offset after it: a
/// client resumes there.
///
/// A character that is split between two chunks is held back until its rest comes. Bytes are never altered:
/// where the rest does not come, or the other stream cuts in, they go out as base64.
class process_event_text {
public:
  bool add(std::string& out, process_event event);
  void flush(std::string& out);

private:
  void add_chunk(std::string& out, output_chunk chunk);
  void emit(std::string& out, output_stream stream, std::uint64_t offset, std::string_view bytes);

  output_chunk held_; // at most three bytes
};

} // namespace sandy::http::routes
