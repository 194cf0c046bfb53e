#pragma once

#include "messages/worker.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace sandy::http::codec {

/// An array with one element per sandbox; ratios lie between 0 and 1.
nlohmann::json to_json(const std::vector<sandbox_stats>& stats);

/// The host resources, every derived value in both spellings.
nlohmann::json to_json(const worker_resources& resources);

/// An array in time order; the last element is "now".
nlohmann::json to_json(const std::vector<resource_sample>& samples);

/// The body of the health answer. Written by hand: it is asked thousands of times a second.
/// @param counts say how many sandboxes there are, and how many are ready-made.
std::string health_body(const worker_health& health, std::string_view version, bool counts = true);

} // namespace sandy::http::codec
