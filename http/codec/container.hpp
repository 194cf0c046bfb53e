#pragma once

#include "messages/container.hpp"

#include <nlohmann/json_fwd.hpp>

#include <vector>

namespace sandy::http::codec {

/// Fails with validation_failed (the image is missing, or a type is wrong) and invalid_argument.
result<container_order> parse_container(const nlohmann::json& body);

/// What a request to stop a container says: seconds between asking and killing.
result<std::uint32_t> parse_stop(const nlohmann::json& body);

nlohmann::json to_json(const container_info& container);
nlohmann::json to_json(const std::vector<container_info>& containers);

} // namespace sandy::http::codec
