#pragma once

#include "messages/error.hpp"
#include "messages/limiter.hpp"

#include <nlohmann/json_fwd.hpp>

namespace sandy::http::codec {

nlohmann::json to_json(const tenant_id& tenant, const tenant_limits& limits);

/// The limits that a request asks for. What it does not name stays as in `present`.
result<tenant_limits> parse_limits(const nlohmann::json& body, const tenant_limits& present);

} // namespace sandy::http::codec
