#pragma once

#include "app/config.hpp"

#include <map>
#include <string>

namespace sandy {

/// A configuration file, read but not yet applied.
struct config_file {
  struct value {
    std::string text;   ///< as `setting::set` reads it
    std::string source; ///< "/etc/sandy/sandy.toml, line 3"
  };
  std::map<std::string, value, std::less<>> values; ///< by name, known ones only
  std::vector<http::configured_key> api_keys;
  std::map<std::string, flavor> flavors;
};

/// Reads a TOML file. Fails with invalid_argument and a whole sentence: what, where. Blocking.
result<config_file> read_config_file(const std::string& path);

} // namespace sandy
