#pragma once

#include "messages/cluster.hpp"

#include <nlohmann/json_fwd.hpp>

#include <vector>

namespace sandy::http::codec {

/// A node of the cluster, as it says itself that it does.
nlohmann::json to_json(const node_view& node);

/// {"nodes": [...]}
nlohmann::json to_json(const std::vector<node_view>& nodes);

} // namespace sandy::http::codec
