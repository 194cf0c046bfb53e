#pragma once

#include "messages/error.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace sandy::http::codec {

/// Reads the JSON body of `POST .../files/write` as it arrives: {"path", "content", "encoding", "mode"} in
/// any order. Content comes out in pieces, so a file is never held in memory as a whole.
class write_parser {
public:
  write_parser();
  ~write_parser();
  write_parser(const write_parser&) = delete;
  write_parser& operator=(const write_parser&) = delete;

  /// Takes the next bytes of the body. Fails with invalid_argument for bad JSON and bad values, with
  /// validation_failed for wrong types, naming the field.
  result<void> feed(std::string_view piece);

  /// The body is complete. Fails as `feed` does, and with validation_failed when `path` or `content` is
  /// missing.
  result<void> finish();

  /// The file's path as soon as it was read.
  const std::optional<std::string>& path() const noexcept;
  /// Permission bits, if given so far.
  std::optional<std::uint32_t> mode() const noexcept;
  /// True when the content is base64 text. Final after `finish`.
  bool base64() const noexcept;

  /// The file has been opened with the path and mode known now: other values that come later are refused.
  void settle() noexcept;

  /// Content that arrived since the last call, with JSON's escapes resolved but base64 not decoded.
  std::string take_content();
  std::size_t waiting_bytes() const noexcept;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace sandy::http::codec
