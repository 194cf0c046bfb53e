#pragma once

#include "messages/error.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sandy::http::codec {

/// Bytes [first, first + length) of a representation; length is at least 1.
struct byte_range {
  std::uint64_t first = 0;
  std::uint64_t length = 0;
};

/// What a Range header (RFC 9110, section 14) asks of `size` bytes. None: no range, one that is not
/// understood, or several: the whole is answered. Fails with range_not_satisfiable.
result<std::optional<byte_range>> parse_range(std::string_view header, std::uint64_t size);

/// The SHA-256 that a client announces, 64 lower-case hex digits. Takes `X-Content-SHA256` (hex) and the
/// sha-256 member of `Repr-Digest` or `Content-Digest` (RFC 9530). None when there is none; fails with
/// invalid_argument when it is malformed.
result<std::optional<std::string>> announced_sha256(std::string_view x_content_sha256,
                                                    std::string_view digest_field);

/// True when an Accept header names this media type before any parameter; "*/*" does not count.
bool accepts(std::string_view header, std::string_view media_type);

/// The media type of a Content-Type header, lower-case, without parameters.
std::string media_type(std::string_view header);

std::string to_hex(std::string_view bytes);

} // namespace sandy::http::codec
