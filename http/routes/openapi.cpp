#include "http/routes/openapi.hpp"

#include "http/codec/fields.hpp"
#include "http/routes/routes.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>
#include <string>

namespace sandy::http {

namespace {

using nlohmann::json;
using routes::described_body;
using routes::described_operation;

const std::map<unsigned, std::string_view>& error_texts() {
  static const std::map<unsigned, std::string_view> texts{
      {400, "The request cannot be used: bad JSON, a bad value, an unknown image, a directory where a file "
            "was expected"},
      {401, "No key, or an unknown one"},
      {403, "The sandbox's kernel refused access, or the key may not do this"},
      {404, "No such sandbox (\"Sandbox not found\"), file or process"},
      {409, "The state of the object does not allow this, or a limit inside the sandbox was hit"},
      {413, "The body is too large"},
      {416, "The range lies outside the file"},
      {422, "A field is missing or has the wrong type, or the digest does not match"},
      {426, "The request is no opening handshake of a WebSocket"},
      {429, "A budget is spent; see Retry-After"},
      {501, "The machine cannot do it"},
      {502, "The sandbox broke or could not be made"},
      {503, "No room, or the server is shutting down; see Retry-After"},
      {504, "No answer in time"},
      {507, "The sandbox's disk is full"},
  };
  return texts;
}

json reference(std::string_view section, std::string_view name) {
  return {{"$ref", "#/components/" + std::string{section} + "/" + std::string{name}}};
}

json content_of(const std::vector<described_body>& bodies) {
  auto content = json::object();
  for (const auto& each : bodies)
    content[std::string{each.media_type}] =
        each.schema.empty() ? json::object() : json{{"schema", reference("schemas", each.schema)}};
  return content;
}

json responses_of(const described_operation& operation) {
  auto responses = json::object();
  if (operation.websocket)
    responses["101"] = {{"description", "A WebSocket"}};
  else
    responses["200"] = {{"description", "Done"}, {"content", content_of(operation.reply)}};
  auto add = [&](unsigned status) {
    responses[std::to_string(status)] = reference("responses", "e" + std::to_string(status));
  };
  for (auto status : operation.errors)
    add(status);
  if (!operation.is_public) {
    add(401);
    add(429);
  }
  if (operation.path.find("{id}") != std::string_view::npos)
    add(404);
  for (unsigned status : {503u, 504u})
    add(status);
  for (std::string_view use : {"/exec", "/files", "/processes", "/preview", "/terminal"})
    if (operation.path.find(use) != std::string_view::npos)
      add(409); // the sandbox may be paused
  if (operation.path.find("/files") != std::string_view::npos && operation.method == "GET")
    add(403);
  if (std::ranges::find(operation.parameters, "Range") != operation.parameters.end()) {
    responses["206"] = {{"description", "The range"}, {"content", content_of(operation.reply)}};
    responses["304"] = {{"description", "If-None-Match names this version"}};
  }
  responses["default"] = reference("responses", "other");
  return responses;
}

json parameters_of(const described_operation& operation) {
  auto parameters = json::array();
  for (std::string_view name : {"id", "pid", "cid", "target", "tenant", "node"})
    if (operation.path.find("{" + std::string{name} + "}") != std::string_view::npos)
      parameters.push_back(reference("parameters", name));
  for (auto name : operation.parameters)
    parameters.push_back(reference("parameters", name));
  return parameters;
}

json to_json(const described_operation& operation, bool alias) {
  json out{{"operationId", std::string{operation.id} + (alias ? "_unprefixed" : "")},
           {"summary", operation.summary},
           {"tags", {operation.tag}},
           {"responses", responses_of(operation)}};
  if (alias)
    out["description"] = "The same route without the prefix /api, for clients of an older API.";
  if (auto parameters = parameters_of(operation); !parameters.empty())
    out["parameters"] = std::move(parameters);
  if (!operation.request.empty())
    out["requestBody"] = {{"content", content_of(operation.request)}};
  if (operation.is_public)
    out["security"] = json::array();
  return out;
}

json error_responses() {
  json error{{"application/json", {{"schema", reference("schemas", "Error")}}}};
  auto responses = json::object();
  for (const auto& [status, text] : error_texts())
    responses["e" + std::to_string(status)] = {{"description", text}, {"content", error}};
  responses["other"] = {{"description", "Any other failure"}, {"content", error}};
  return responses;
}

} // namespace

json openapi_document(std::string_view version) {
  constexpr std::string_view prefix = "/api";
  auto paths = json::object();
  for (const auto& operation : routes::described_operations()) {
    auto method = codec::lower(operation.method);
    paths[std::string{operation.path}][method] = to_json(operation, false);
    if (operation.path.starts_with("/api/sandboxes"))
      paths[std::string{operation.path.substr(prefix.size())}][method] = to_json(operation, true);
  }
  return {{"openapi", "3.1.0"},
          {"info",
           {{"title", "Sandy"},
            {"version", version},
            {"description",
             "Isolated sandboxes that run code over HTTP. Fields are accepted in camelCase and snake_case; "
             "unknown "
             "fields are ignored; null means absent; numbers may be strings. GET also answers HEAD. What "
             "applications in sandboxes answer, at their host names, below /sandbox/{id}/ and below "
             "/api/sandboxes/{id}/proxy/{port}/, is not described here."}}},
          {"security", {{{"key", json::array()}}}},
          {"paths", std::move(paths)},
          {"components",
           {{"securitySchemes", {{"key", {{"type", "http"}, {"scheme", "bearer"}}}}},
            {"parameters", routes::described_parameters()},
            {"responses", error_responses()},
            {"schemas", routes::described_schemas()}}}};
}

} // namespace sandy::http
