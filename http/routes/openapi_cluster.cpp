#include "http/routes/openapi.hpp"

#include <nlohmann/json.hpp>

// The nodes of a cluster, in the OpenAPI document.

namespace sandy::http::routes {

namespace {

constexpr std::string_view schemas = R"json({
"Node": {"type": "object", "required": ["id", "name", "self", "role", "labels", "version", "state", "sandboxes"], "properties": {
  "id": {"type": "string", "description": "What the ids of its sandboxes begin with"}, "name": {"type": "string"},
  "self": {"type": "boolean", "description": "It is the one that answers"},
  "role": {"type": "string", "enum": ["all", "controller", "worker"]}, "labels": {"type": "array", "items": {"type": "string"}},
  "version": {"type": "string"}, "state": {"type": "string", "enum": ["ready", "cordoned", "draining", "unreachable"]},
  "data_address": {"type": ["string", "null"], "description": "Where other nodes pass on requests; null: it is alone"},
  "can_create": {"type": "boolean"}, "sandboxes": {"type": "integer"}, "max_sandboxes": {"type": "integer"},
  "cpu_ratio": {"type": "number"}, "cpu_count": {"type": "integer"},
  "memory_available_bytes": {"type": "integer"}, "memory_total_bytes": {"type": "integer"}, "last_seen_at": {"type": "string"}}},
"Cluster": {"type": "object", "required": ["nodes"], "properties": {"nodes": {"type": "array", "items": {"$ref": "#/components/schemas/Node"}}}}
})json";

constexpr std::string_view tag = "cluster";
constexpr std::string_view json_type = "application/json";

} // namespace

nlohmann::json cluster_schemas() { return nlohmann::json::parse(schemas); }

void describe_cluster(std::vector<described_operation>& all) {
  const std::vector<described_body> node{{json_type, "Node"}};
  all.push_back({"GET",
                 "/api/cluster",
                 "list_nodes",
                 tag,
                 "The nodes of the cluster, by name; for administrators",
                 {},
                 {},
                 {{json_type, "Cluster"}},
                 {403}});
  auto steer = [&](std::string_view path, std::string_view id, std::string_view summary) {
    all.push_back({"POST", path, id, tag, summary, {}, {}, node, {403, 404, 502}});
  };
  steer("/api/cluster/nodes/{node}/cordon", "cordon_node",
        "A node gets no new sandboxes, but children of those it has");
  steer("/api/cluster/nodes/{node}/uncordon", "uncordon_node", "A node gets new sandboxes again");
  steer("/api/cluster/nodes/{node}/drain", "drain_node",
        "A node gets no sandboxes at all, until it is empty");
}

} // namespace sandy::http::routes
