#pragma once

#include "http/exchange.hpp"
#include "messages/limiter.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sandy::http {

/// How the end of a body is known.
enum class framing : std::uint8_t {
  none,    ///< there is no body and no length (204, 304, 1xx)
  length,  ///< Content-Length
  chunked, ///< Transfer-Encoding
  until_close,
};

/// What goes into the head of an answer, beside what every answer has. Views: lives as long as the call.
struct answer_head {
  unsigned status = 200;
  std::string_view content_type; ///< empty: none
  framing body = framing::length;
  std::uint64_t length = 0;
  bool keep_alive = true;
  bool http10 = false;
  std::string_view date;
  std::string_view request_id;
  std::string_view correlation_id;   ///< empty: none
  std::string_view allowed_origin;   ///< for browsers; empty: none
  const admission* budget = nullptr; ///< what the client is told about its limits
  const header_list* extra = nullptr;
};

/// Appends status line and fields. Control characters in values become spaces, so a value never starts a new
/// field.
void append_head(std::string& out, const answer_head& head);

/// Appends the head of somebody else's answer, and how its body is framed here.
void append_passed_head(std::string& out, const passed_answer& head, framing body, bool keep_alive,
                        bool http10);

/// Appends one field, with the same care.
void append_field(std::string& out, std::string_view name, std::string_view value);

/// True for texts that may be echoed as an id: 1 to 128 characters that need no quoting anywhere.
bool is_plain_id(std::string_view text) noexcept;

} // namespace sandy::http
