#pragma once

#include "http/codec/fields.hpp"
#include "messages/secrets.hpp"

#include <vector>

namespace sandy::http::codec {

/// Bounds of what one sandbox may be given.
inline constexpr std::size_t most_secrets = 64;
inline constexpr std::size_t most_secret_bytes = 16 * 1024;
inline constexpr std::size_t most_secret_hosts = 32;

/// Reads `secrets`: an object of {value, hosts, allowHttp} by name, or a list of them with a `name` each.
/// A mistake is recorded in `fields`; its text never repeats a value.
std::vector<secret> read_secrets(field_reader& fields);

/// What is shown of them.
nlohmann::json to_json(const std::vector<secret_use>& secrets);

} // namespace sandy::http::codec
