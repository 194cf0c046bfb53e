#pragma once

#include "messages/error.hpp"
#include "messages/image.hpp"
#include "messages/image_names.hpp"

#include <nlohmann/json_fwd.hpp>

#include <optional>
#include <string>
#include <vector>

namespace sandy::http::codec {

/// One image, every value in both spellings.
nlohmann::json to_json(const image_info& image, const image_names& names);
nlohmann::json to_json(const std::vector<image_info>& images, const image_names& names);

/// What is to become an image: an archive of the server's machine, or an image of a registry.
struct import_request {
  std::string name;
  std::string path;                         ///< absolute; empty: there is a reference
  std::optional<image_reference> reference; ///< none: there is a path
};

/// Fails with validation_failed and invalid_argument.
result<import_request> parse_import(const nlohmann::json& body);

/// The name in the body of a snapshot; empty: none. Fails with invalid_argument for what cannot be a name.
result<std::string> parse_snapshot(const nlohmann::json& body);

/// Everything but the caller and the id. Fails with invalid_argument, also for more than 16.
result<fork_sandbox> parse_fork(const nlohmann::json& body);

} // namespace sandy::http::codec
