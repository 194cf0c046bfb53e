#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace sandy::http {

/// What the Connection fields of one head name: fields and options that are about this connection only
/// (RFC 9110, section 7.6.1). Views into the head; collected once, because every field of the head is
/// compared with them.
class connection_options {
public:
  /// More is no head of an honest program.
  static constexpr std::size_t most = 16;

  /// Adds the value of one Connection field. False: that is too many.
  bool add(std::string_view list) noexcept;
  /// Whether it is named, without regard to case.
  bool name(std::string_view option) const noexcept;

private:
  std::array<std::string_view, most> members_{};
  std::size_t count_ = 0;
};

} // namespace sandy::http
