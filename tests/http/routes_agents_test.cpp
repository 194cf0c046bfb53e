#include "http/routes_support.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::tests;
using nlohmann::json;

namespace {

/// What the worker is asked for by this request.
agent_order order_of(stage& on, const json& body) {
  REQUIRE(on.call("POST", stage::of_living("/agent/run"), body.dump()).status == 409);
  return on.script.order;
}

} // namespace

TEST_CASE_METHOD(stage, "an order may be spelled as any client does", "[routes]") {
  auto order = order_of(*this, {{"agent", "claude"},
                                {"model", "a/b"},
                                {"prompt", "do it"},
                                {"maxDuration", 90.5},
                                {"rawPrompt", true},
                                {"systemPrompt", "be kind"},
                                {"systemPromptPath", "/p"},
                                {"apiBaseUrl", "http://m/v1"},
                                {"env", {{"A", "1"}, {"B", "2"}}},
                                {"envVars", {{"B", "lost"}, {"C", "3"}}},
                                {"apiKey", "k"},
                                {"cwd", "sub"}});
  CHECK(order.agent == "claude");
  CHECK(order.model == "a/b");
  CHECK(order.prompt == "do it");
  CHECK(order.max_ms == 90'500);
  CHECK(order.raw_prompt);
  CHECK(order.system_prompt == "be kind");
  CHECK(order.system_prompt_path == "/p");
  CHECK(order.base_url == "http://m/v1");
  CHECK(order.env == environment{{"A", "1"}, {"B", "2"}, {"C", "3"}});
  CHECK(order.api_key == "k");
  CHECK(order.directory == "sub");
  auto other = order_of(*this, {{"agent", "codex"},
                                {"model", "m"},
                                {"prompt", "p"},
                                {"timeout_ms", 1500},
                                {"raw_prompt", false},
                                {"session_id", "s"}});
  CHECK(other.max_ms == 1500);
  CHECK_FALSE(other.raw_prompt);
  CHECK(other.session_id == "s");
  auto both = order_of(
      *this, {{"agent", "x"}, {"model", "m"}, {"prompt", "p"}, {"max_duration", 2}, {"timeout_ms", 9}});
  CHECK(both.max_ms == 2000);
  CHECK(order_of(*this, {{"agent", "x"}, {"model", "m"}, {"prompt", "p"}, {"maxDuration", 0}}).max_ms ==
        600'000);
}

TEST_CASE_METHOD(stage, "an order without agent, model or prompt is refused by name", "[routes]") {
  for (const auto* missing : {"agent", "model", "prompt"}) {
    json body{{"agent", "x"}, {"model", "m"}, {"prompt", "p"}};
    body.erase(missing);
    auto& ex = call("POST", of_living("/agent/run"), body.dump());
    CHECK(ex.status == 422);
    CHECK(ex.json()["detail"].get<std::string>().find(missing) != std::string::npos);
    body[missing] = 7;
    CHECK(call("POST", of_living("/agent/run"), body.dump()).status == 422);
  }
}

TEST_CASE_METHOD(stage, "a run is cancelled and asked about by its sandbox", "[routes]") {
  CHECK(call("POST", of_living("/agent/cancel")).json() == json{{"success", true}, {"cancelled", true}});
  auto status = call("GET", of_living("/agent/status")).json();
  CHECK(status["running"] == true);
  CHECK(status["agent"] == "codex");
  CHECK(status["exit_code"].is_null());
  CHECK(status["started_at"] == status["startedAt"]);
  const std::string gone = "/api/sandboxes/0123456789abcdef01234567/agent/";
  CHECK(call("POST", gone + "cancel").status == 404);
  CHECK(call("GET", gone + "status").status == 404);
  CHECK(call("POST", gone + "run", R"({"agent":"x","model":"m","prompt":"p"})").status == 404);
}

TEST_CASE_METHOD(stage, "agents are listed", "[routes]") {
  auto known = call("GET", "/api/agents").json();
  CHECK(known["agents"] == json::array({{{"id", "codex"}, {"name", "Codex"}, {"installed", true}}}));
  CHECK(known["models"] == json::array());
}

TEST_CASE_METHOD(stage, "runs that were are told with what they said", "[routes]") {
  auto runs = call("GET", of_living("/agent/runs")).json()["runs"];
  REQUIRE(runs.size() == 1);
  CHECK(runs[0]["runId"] == "0123");
  CHECK(runs[0]["run_id"] == "0123");
  CHECK(runs[0]["status"] == "failed");
  CHECK(runs[0]["exitCode"] == 3);
  CHECK(runs[0]["output"] == "said\ufffd");
  CHECK(call("GET", "/api/sandboxes/0123456789abcdef01234567/agent/runs").status == 404);
}
