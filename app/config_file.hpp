#pragma once

#include "app/config.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sandy {

/// One of a tenant's limits, as the file and the settings name it.
struct limit_field {
  std::string_view name;
  std::uint64_t tenant_limits::* value;
  bool is_size = false; ///< written as a SIZE, not as a NUMBER
};

inline constexpr limit_field limit_fields[]{{"requests_per_second", &tenant_limits::requests_per_second},
                                            {"request_burst", &tenant_limits::request_burst},
                                            {"creations_per_minute", &tenant_limits::creations_per_minute},
                                            {"creations_per_hour", &tenant_limits::creations_per_hour},
                                            {"sandboxes", &tenant_limits::sandboxes},
                                            {"streams", &tenant_limits::streams},
                                            {"memory", &tenant_limits::memory_bytes, true}};

/// What a tenant has otherwise than others, in the order of the file.
using limit_changes = std::vector<std::pair<std::uint64_t tenant_limits::*, std::uint64_t>>;

/// A configuration file, read but not yet applied.
struct config_file {
  struct value {
    std::string text;   ///< as `setting::set` reads it
    std::string source; ///< "/etc/sandy/sandy.toml, line 3"
  };
  std::map<std::string, value, std::less<>> values; ///< by name, known ones only
  std::vector<http::configured_key> api_keys;
  std::map<std::string, flavor> flavors;
  std::vector<webhook_settings> webhooks;
  std::vector<model_settings> models;
  std::map<std::string, limit_changes> tenants;
  std::map<std::string, std::string> image_aliases;
  std::vector<http::platform::service_settings> platform_services;
  std::map<std::string, http::platform::token_price> platform_prices;
};

/// Reads a TOML file. Fails with invalid_argument and a whole sentence: what, where. Blocking.
result<config_file> read_config_file(const std::string& path);

} // namespace sandy
