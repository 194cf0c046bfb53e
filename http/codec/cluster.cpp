#include "http/codec/cluster.hpp"

#include "http/codec/time_format.hpp"

#include <nlohmann/json.hpp>

namespace sandy::http::codec {

using nlohmann::json;

json to_json(const node_view& node) {
  const auto& card = node.card;
  const auto& load = card.load;
  auto address = card.host.find(':') == std::string::npos ? card.host : "[" + card.host + "]";
  return {{"id", card.id},
          {"name", card.name},
          {"self", node.self},
          {"role", to_string(card.role)},
          {"labels", card.labels},
          {"version", card.version},
          {"state", to_string(card.state)},
          {"data_address", card.port == 0 ? json() : json(address + ":" + std::to_string(card.port))},
          {"can_create", load.can_create},
          {"sandboxes", load.sandboxes},
          {"max_sandboxes", load.max_sandboxes},
          {"cpu_ratio", load.cpu_ratio},
          {"cpu_count", load.cpu_count},
          {"memory_available_bytes", load.memory_available_bytes},
          {"memory_total_bytes", load.memory_total_bytes},
          {"last_seen_at", iso_time(node.last_seen_at)}};
}

json to_json(const std::vector<node_view>& nodes) {
  auto all = json::array();
  for (const auto& each : nodes)
    all.push_back(to_json(each));
  return {{"nodes", std::move(all)}};
}

} // namespace sandy::http::codec
