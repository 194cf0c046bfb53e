#include "http/codec/events.hpp"

#include "http/codec/time_format.hpp"

#include <nlohmann/json.hpp>

namespace sandy::http::codec {

using nlohmann::json;

json to_json(const life_event& event) {
  auto optional = [](const std::string& text) { return text.empty() ? json{} : json(text); };
  return {{"sequence", event.sequence},
          {"type", to_string(event.type)},
          {"at", iso_time(event.at)},
          {"tenant", event.tenant.value},
          {"sandbox_id", event.sandbox.value},
          {"sandboxId", event.sandbox.value},
          {"parent_sandbox_id", optional(event.parent.value)},
          {"parentSandboxId", optional(event.parent.value)},
          {"reason", event.reason == end_reason::none ? json{} : json(to_string(event.reason))}};
}

json gap_json(const event_page& page) { return {{"from", page.missing_from}, {"to", page.missing_to}}; }

json to_json(const event_page& page) {
  auto events = json::array();
  for (const auto& event : page.events)
    events.push_back(to_json(event));
  return {{"events", std::move(events)},
          {"next", page.next},
          {"gap", page.missing_to == 0 ? json{} : gap_json(page)}};
}

} // namespace sandy::http::codec
