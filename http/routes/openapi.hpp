#pragma once

#include <nlohmann/json_fwd.hpp>

#include <string_view>
#include <vector>

namespace sandy::http::routes {

/// What a body can be: a media type and the name of its schema, empty for bytes or text.
struct described_body {
  std::string_view media_type;
  std::string_view schema;
};

/// One operation, as the OpenAPI document describes it. All strings are literals.
struct described_operation {
  std::string_view method;
  std::string_view path;
  std::string_view id; ///< operationId, unique
  std::string_view tag;
  std::string_view summary;
  std::vector<std::string_view> parameters; ///< names in the document's components, beside those of the path
  std::vector<described_body> request;      ///< empty: no body
  std::vector<described_body> reply;        ///< of status 200
  std::vector<unsigned> errors;             ///< statuses beside 401, 404 and 429, which follow from the route
  bool is_public = false;
  bool websocket = false; ///< becomes one, instead of an answer with status 200
};

std::vector<described_operation> described_operations();
/// Its part about agents, and the schemas of that.
void describe_agents(std::vector<described_operation>& all);
nlohmann::json agent_schemas();
/// The same about chats.
void describe_chats(std::vector<described_operation>& all);
nlohmann::json chat_schemas();
/// Its part about containers, and the schemas of that.
void describe_containers(std::vector<described_operation>& all);
nlohmann::json container_schemas();
void describe_dialects(std::vector<described_operation>& all);
nlohmann::json dialect_schemas();
void describe_cluster(std::vector<described_operation>& all);
nlohmann::json cluster_schemas();
/// The schemas, by name.
nlohmann::json described_schemas();
/// The parameters, by name.
nlohmann::json described_parameters();

} // namespace sandy::http::routes
