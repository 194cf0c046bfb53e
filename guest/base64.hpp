#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace sandy::guest {

/// Decodes standard base64 (RFC 4648, with padding) that arrives in pieces. White space may stand anywhere;
/// everything else that is not of the alphabet, wrong padding included, is an error.
class base64_decoder {
public:
  /// Decodes `text` into `out`, which has room for text.size() bytes (never more than that comes out) and may
  /// be the very same memory. @return bytes written; nothing for bad input.
  std::optional<std::size_t> feed(std::string_view text, char* out) {
    std::size_t written = 0;
    for (char c : text) {
      if (c == ' ' || c == '\n' || c == '\r' || c == '\t')
        continue;
      if (c == '=') {
        ++padding_;
        if (sextets_ % 4 < 2 || sextets_ % 4 + padding_ > 4)
          return std::nullopt;
        continue;
      }
      int value = value_of(c);
      if (value < 0 || padding_ > 0)
        return std::nullopt;
      bits_ = bits_ << 6 | static_cast<std::uint32_t>(value);
      if (++sextets_ % 4 != 1)
        out[written++] = static_cast<char>(bits_ >> (6 - 2 * ((sextets_ - 1) % 4)) & 0xff);
    }
    return written;
  }

  /// True when the text may end here.
  bool complete() const noexcept {
    auto rest = sextets_ % 4;
    if (rest == 0)
      return padding_ == 0;
    // Bits beyond the last byte must be zero, or two texts would mean the same file.
    auto unused = rest == 2 ? bits_ & 0xf : bits_ & 0x3;
    return rest + padding_ == 4 && unused == 0;
  }

private:
  static int value_of(char c) {
    if (c >= 'A' && c <= 'Z')
      return c - 'A';
    if (c >= 'a' && c <= 'z')
      return c - 'a' + 26;
    if (c >= '0' && c <= '9')
      return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
  }

  std::uint32_t bits_ = 0;
  std::uint64_t sextets_ = 0;
  std::uint32_t padding_ = 0;
};

} // namespace sandy::guest
