#include "http/routes_support.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::tests;
using nlohmann::json;

namespace {

const std::string other(24, 'a');

} // namespace

TEST_CASE_METHOD(stage, "connecting answers the connection as the source sees it", "[routes]") {
  for (const auto* field : {"target", "target_id", "targetId", "sandboxId", "sandbox_id"}) {
    auto& ex = call("POST", of_living("/connect"), json{{field, other}}.dump());
    CHECK(ex.status == 200);
    auto body = ex.json();
    CHECK((body["source"] == living.value && body["source_id"] == living.value));
    CHECK((body["target"] == other && body["targetId"] == other && body["name"] == other));
    CHECK((body["direction"] == "outbound" && body["address"] == "127.83.0.1"));
    CHECK((body["createdAt"] == "1970-01-01T00:00:01.000+00:00" && body["created_at"] == body["createdAt"]));
  }
  CHECK(script.asked.front() == "connect " + other + " acme " + living.value);
}

TEST_CASE_METHOD(stage, "disconnecting takes the target from the body or from the path", "[routes]") {
  auto& posted = call("POST", of_living("/disconnect"), json{{"target", other}}.dump());
  CHECK((posted.status == 200 && posted.json()["status"] == "disconnected"));
  auto& removed = call("DELETE", of_living("/connect/" + other));
  CHECK((removed.status == 200 && removed.json()["target"] == other));
  CHECK(script.asked == std::vector<std::string>(2, "disconnect " + other + " acme " + living.value));
}

TEST_CASE_METHOD(stage, "connections are listed with their direction", "[routes]") {
  auto body = call("GET", of_living("/connections")).json();
  CHECK(body["total"] == 1);
  CHECK(body["connections"][0]["direction"] == "outbound");
}

TEST_CASE_METHOD(stage, "a wish to connect that cannot be understood says which field", "[routes]") {
  for (const auto* path : {"/connect", "/disconnect"}) {
    CHECK(call("POST", of_living(path), "{}").status == 422);
    CHECK(call("POST", of_living(path), R"({"target":7})").status == 422);
    CHECK(call("POST", of_living(path), "{").status == 400);
    CHECK(call("POST", of_living(path), R"({"target":"nonsense"})").json()["detail"] == "Sandbox not found");
    CHECK(call("POST", std::string{"/api/sandboxes/nonsense"} + path).status == 404);
  }
  CHECK(call("DELETE", of_living("/connect/nonsense")).status == 404);
  CHECK(call("GET", "/api/sandboxes/nonsense/connections").status == 404);
  CHECK(script.asked.empty());
  for (const auto* wrong : {R"({"connect_to":"x"})", R"({"connectTo":[7]})"})
    CHECK(call("POST", "/api/sandboxes", wrong).status == 422);
  CHECK(call("POST", "/api/sandboxes", R"({"connect_to":["nonsense"]})").status == 404);
}

TEST_CASE_METHOD(stage, "a creation names whom it connects to, each once", "[routes]") {
  CHECK(call("POST", "/api/sandboxes", json{{"connectTo", {other, living.value, other}}}.dump()).status ==
        200);
  CHECK(script.wished.connect_to == std::vector{sandbox_id{other}, living});
}
