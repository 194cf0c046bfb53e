#pragma once

#include <string>
#include <string_view>

namespace sandy::http {

/// The content type of an event stream.
inline constexpr std::string_view event_stream_type = "text/event-stream; charset=utf-8";
/// A comment: keeps proxies and clients from taking a silent stream for a dead one.
inline constexpr std::string_view sse_heartbeat = ": keep-alive\n\n";

/// One server-sent event (WHATWG HTML, section 9.2). Fields that are empty are left out, `data` never is.
struct sse_event {
  std::string_view event; ///< without line breaks; such bytes are dropped
  std::string_view data;  ///< each line becomes a `data: ` line; JSON should be a single one
  std::string_view id;    ///< as `event`
};

/// Appends the event, ended by its blank line, to `out`: several events may share one write.
void append_event(std::string& out, const sse_event& event);

} // namespace sandy::http
