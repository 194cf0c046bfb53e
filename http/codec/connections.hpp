#pragma once

#include "messages/connection.hpp"

#include <nlohmann/json_fwd.hpp>

#include <vector>

namespace sandy::http::codec {

/// The other sandbox that a body of `connect` or `disconnect` names. Fails with validation_failed when none
/// is named, with sandbox_not_found for what cannot be an id.
result<sandbox_id> parse_target(const nlohmann::json& body);

/// A connection as one of its two sandboxes sees it.
nlohmann::json to_json(const sandbox_connection& connection, const sandbox_id& seen_from);

nlohmann::json to_json(const std::vector<sandbox_connection>& all, const sandbox_id& seen_from);

/// The answer to `disconnect`.
nlohmann::json disconnected_json(const sandbox_id& source, const sandbox_id& target);

} // namespace sandy::http::codec
