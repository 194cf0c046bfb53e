#pragma once

#include "messages/network.hpp"

#include <nlohmann/json_fwd.hpp>

namespace sandy::http::codec {

class field_reader;

/// The field `network` of a request: the name of a mode, or an object with mode, allow, deny and maxBytes.
/// Its mode is `usual` when it names none. Refuses what is wrong, naming the field.
network_policy read_network(field_reader& fields);

/// The body of `PUT /api/sandboxes/{id}/network`: that object, or one with the field `network`. Fails with
/// validation_failed or invalid_argument.
result<network_policy> parse_network(const nlohmann::json& body);

nlohmann::json to_json(const network_policy& policy);
nlohmann::json to_json(const network_report& report);

} // namespace sandy::http::codec
