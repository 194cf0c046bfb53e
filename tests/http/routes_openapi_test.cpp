#include "http/codec/fields.hpp"
#include "http/routes/routes.hpp"

#include <nlohmann/json.hpp>

#include <catch2/catch.hpp>

#include <functional>
#include <set>
#include <string>

using namespace sandy;
using nlohmann::json;

namespace {

/// Calls `f` with every value of an object's member `name`, at any depth.
void each_member(const json& at, const std::string& name, const std::function<void(const json&)>& f) {
  if (at.is_object() && at.contains(name))
    f(at[name]);
  if (at.is_structured())
    for (const auto& inner : at)
      each_member(inner, name, f);
}

std::set<std::string> names_in(const std::string& path) {
  std::set<std::string> names;
  for (std::size_t at = 0; (at = path.find('{', at)) != std::string::npos; ++at)
    names.insert(path.substr(at + 1, path.find('}', at) - at - 1));
  return names;
}

} // namespace

TEST_CASE("every route is described, and nothing else is", "[routes]") {
  std::set<std::string> routes;
  std::set<std::string> open;
  for (const auto& each : http::all_routes()) {
    if (each.method == http::any_method)
      continue; // answered by applications
    auto key = http::codec::lower(each.method) + " " + std::string{each.pattern};
    CHECK(routes.insert(key).second);
    if (each.is_public)
      open.insert(key);
  }
  std::set<std::string> described;
  std::set<std::string> described_open;
  auto document = http::openapi_document("1.2");
  for (const auto& [path, item] : document["paths"].items())
    for (const auto& [method, operation] : item.items()) {
      described.insert(method + " " + path);
      if (operation.contains("security") && operation["security"].empty())
        described_open.insert(method + " " + path);
    }
  CHECK(routes == described);
  CHECK(open == described_open);
}

TEST_CASE("the document is well-formed: unique ids, references that lead somewhere, parameters of the path",
          "[routes]") {
  auto document = http::openapi_document("1.2");
  CHECK(document["openapi"] == "3.1.0");
  CHECK(document["info"]["version"] == "1.2");
  std::set<std::string> ids;
  for (const auto& [path, item] : document["paths"].items())
    for (const auto& operation : item) {
      CHECK(ids.insert(operation["operationId"].get<std::string>()).second);
      CHECK(operation["responses"].contains("200") != operation["responses"].contains("101"));
      std::set<std::string> parameters;
      for (const auto& each : operation.value("parameters", json::array())) {
        const auto& parameter = document[json::json_pointer(each["$ref"].get<std::string>().substr(1))];
        if (parameter["in"] == "path")
          parameters.insert(parameter["name"].get<std::string>());
      }
      CHECK(parameters == names_in(path));
    }
  std::set<std::string> used;
  each_member(document, "$ref", [&](const json& reference) {
    auto text = reference.get<std::string>();
    INFO(text);
    used.insert(text);
    CHECK(document.contains(json::json_pointer(text.substr(1))));
  });
  for (const auto& [name, unused] : document["components"]["schemas"].items())
    CHECK(used.count("#/components/schemas/" + name) == 1);
}

TEST_CASE("the sandbox family also answers without the prefix", "[routes]") {
  std::set<std::string> patterns;
  for (const auto& each : http::all_routes())
    patterns.insert(std::string{each.method} + " " + std::string{each.pattern});
  for (const auto& each : http::all_routes())
    if (each.pattern.starts_with("/api/sandboxes"))
      CHECK(patterns.count(std::string{each.method} + " " + std::string{each.pattern.substr(4)}) == 1);
}
