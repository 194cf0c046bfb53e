#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sandy::http::codec {

/// Standard base64 (RFC 4648, section 4) with padding.
std::string base64_encode(std::string_view bytes);

/// Strict about the alphabet and padding, but white space is skipped and missing padding forgiven. None for
/// anything else.
std::optional<std::string> base64_decode(std::string_view text);

/// Encodes bytes that come in pieces into one base64 text.
class base64_encoder {
public:
  void feed(std::string& out, std::string_view piece);
  /// Writes what is left, with padding.
  void finish(std::string& out);

private:
  std::string held_; // fewer than three bytes
};

} // namespace sandy::http::codec
