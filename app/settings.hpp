#pragma once

#include "app/config.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace sandy {

/// One thing an operator can choose: the flag `--data-dir`, the variable `SANDY_DATA_DIR` and the key
/// `data_dir` are all derived from its name.
struct setting {
  std::string_view name;  ///< in snake_case
  std::string_view group; ///< heading in --help, the file and the documentation
  std::string_view type;  ///< what is expected: "PATH", "SIZE", "DURATION", ...
  std::string_view help;  ///< one sentence without its full stop
  bool secret = false;    ///< never shown
  bool boolean = false;   ///< the flag may stand without a value
  bool number = false;    ///< written without quotes in the file
  /// Fails with invalid_argument and half a sentence: "is not a size such as ...".
  std::function<result<void>(config&, std::string_view text)> set;
  std::function<std::string(const config&)> get; ///< as `set` reads it; secrets too

  std::string flag() const;     ///< "--data-dir"
  std::string variable() const; ///< "SANDY_DATA_DIR"
};

/// All settings with one value, in the order of the documentation. `api_keys`, `flavors`, `tenants` and
/// `image_aliases` are tables and live in the file alone; see app/config_file.hpp.
const std::vector<setting>& settings();

/// nullptr when there is none of that name.
const setting* find_setting(std::string_view name);

} // namespace sandy
