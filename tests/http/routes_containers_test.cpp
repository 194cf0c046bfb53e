#include "http/routes_support.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::tests;
using nlohmann::json;

namespace {

const std::string name = "ct-0123456789abcdef01234";
const std::string one = "/container/" + name;

} // namespace

TEST_CASE_METHOD(stage, "a container is ordered in any client's spelling, and told in all of them",
                 "[routes]") {
  for (const auto& body : {json{{"image", "m"},
                                {"llm_api_key", "k"},
                                {"memory_url", "u"},
                                {"search_url", "s"},
                                {"timeout", "60"},
                                {"port", 8081},
                                {"env", {{"A", "1"}}}},
                           json{{"image", "m"},
                                {"llmApiKey", "k"},
                                {"memoryUrl", "u"},
                                {"searchUrl", "s"},
                                {"timeout", 59.5},
                                {"port", "8081"},
                                {"envVars", {{"A", "1"}}}}}) {
    auto& ex = call("POST", of_living("/container/run"), body.dump());
    REQUIRE(ex.status == 200);
    auto made = ex.json();
    for (auto key : {"id", "container_id", "containerId"})
      CHECK(made[key] == name);
    CHECK(made["image"] == "m");
    CHECK(made["port"] == 8081);
    CHECK(made["timeout"] == 60);
    CHECK(made["status"] == "running");
    CHECK(made["health"] == "healthy");
    CHECK(made["endpoint"] == "http://localhost:8081/v1/chat/completions");
    CHECK(made["name"] == "k|u|s|A=1"); // what the worker was asked for
  }
}

TEST_CASE_METHOD(stage, "an order that cannot be met is refused by name", "[routes]") {
  auto refused = [&](json body) {
    auto& ex = call("POST", of_living("/container/run"), body.dump());
    CHECK(ex.json()["detail"].is_string());
    return ex.status;
  };
  CHECK(refused(json::object()) == 422);
  CHECK(refused({{"image", 7}}) == 422);
  CHECK(refused({{"image", "m"}, {"port", 70'000}}) == 400);
  CHECK(refused({{"image", "m"}, {"restart_policy", "sometimes"}}) == 400);
  CHECK(refused({{"image", "m"}, {"command", json::array({1})}}) == 422);
  CHECK(refused({{"image", "m"}, {"llm_api_key", std::string("a\0b", 3)}}) == 400);
  CHECK(refused({{"image", "missing"}}) == 502);
  CHECK(call("POST", "/api/sandboxes/0123456789abcdef01234567/container/run", R"({"image":"m"})").status ==
        404);
}

TEST_CASE_METHOD(stage, "containers are listed, described, stopped and removed", "[routes]") {
  auto all = call("GET", of_living("/container")).json();
  REQUIRE(all["containers"].size() == 1);
  CHECK(all["containers"][0]["id"] == name);
  CHECK(call("GET", of_living(one)).json()["started_at"] == call("GET", of_living(one)).json()["startedAt"]);
  CHECK(call("POST", of_living(one + "/stop"), "").json()["status"] == "exited");
  CHECK(call("POST", of_living(one + "/stop"), R"({"grace": 600})").status == 400);
  CHECK(call("DELETE", of_living(one)).status == 200);
  CHECK(call("GET", of_living(one + "/logs")).json()["lines"] == json::array()); // nothing of it is here
  CHECK(call("GET", of_living(one + "/logs?tail=x")).status == 400);
}

TEST_CASE_METHOD(stage, "a container that is not there is unknown, on every route", "[routes]") {
  for (const std::string other :
       {"ct-ffffffffffffffffffff0", "ct-0", "ct-0123456789abcdef0123g", "46da12d345fb7c0146da12d3"})
    for (const auto& [method, rest] : std::vector<std::pair<std::string, std::string>>{
             {"GET", ""}, {"GET", "/logs"}, {"GET", "/health"}, {"GET", "/v1/models"}, {"POST", "/chat"}}) {
      auto& ex = call(method, of_living("/container/" + other + rest), method == "POST" ? "{}" : "");
      INFO(method << " " << other << rest);
      CHECK(ex.status == 404);
      CHECK(ex.json()["error"]["code"] == "container_not_found");
    }
}
