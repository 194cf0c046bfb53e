#pragma once

#include "messages/events.hpp"

#include <nlohmann/json_fwd.hpp>

namespace sandy::http::codec {

/// One event, as streams, pages and webhooks show it.
nlohmann::json to_json(const life_event& event);

/// A page: {"events", "next", "gap"}; the gap is null or {"from", "to"}.
nlohmann::json to_json(const event_page& page);

/// {"from", "to"} of what a page misses.
nlohmann::json gap_json(const event_page& page);

} // namespace sandy::http::codec
