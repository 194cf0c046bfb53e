#pragma once

#include "http/platform/settings.hpp"

#include <optional>
#include <ostream>
#include <string>
#include <string_view>

namespace sandy {

/// Reads the table of one service of the platform, key by key.
class platform_service_reader {
public:
  /// @param name of the table; that of a known service brings what is known of it.
  explicit platform_service_reader(std::string name);

  /// @param text of the value; lists with commas. Fails with invalid_argument and half a sentence.
  result<void> set(std::string_view key, const std::string& text);
  /// After the last key. Reads the key's file, or the variable it is in: blocking. Fails with
  /// invalid_argument and half a sentence.
  result<http::platform::service_settings> finish();

private:
  http::platform::service_settings made_;
  std::optional<std::string> key_file_;
  std::optional<std::string> key_variable_;
};

/// Shows the platform's services as the file names them, without secrets.
void show_platform(std::ostream& out, const http::platform::settings& all);

} // namespace sandy
