#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sandy::http {

/// The target of a request line (RFC 9112, section 3.2), taken apart. Reused from request to request: no
/// allocation once warm.
class request_target {
public:
  /// Most segments of a path that any route could match; longer paths match none.
  static constexpr std::size_t max_segments = 64;

  /// Reads an origin-form ("/a?b") or absolute-form ("http://host/a?b") target. False when it is neither, its
  /// percent-encoding is broken, or it decodes to control characters or bytes that are not UTF-8. `raw` must
  /// stay alive while `query` is asked.
  bool parse(std::string_view raw);

  /// Decoded path, e.g. "/api/sandboxes".
  std::string_view path() const noexcept { return path_; }
  /// Decoded text between the slashes. A slash that was encoded is inside its segment; a trailing slash makes
  /// no segment.
  std::span<const std::string_view> segments() const noexcept { return segments_; }
  /// Decoded value ("+" is a space) of the first parameter of that name.
  std::optional<std::string> query(std::string_view name) const;

private:
  bool parse_path(std::string_view raw);
  std::string path_;
  std::vector<std::string_view> segments_; // into path_
  std::string_view query_;
};

/// Appends `text` with its percent-encoding undone. False for a broken encoding.
bool append_decoded(std::string& out, std::string_view text, bool plus_is_space);

} // namespace sandy::http
