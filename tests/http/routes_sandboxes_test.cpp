#include "http/routes_support.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::tests;
using nlohmann::json;

TEST_CASE_METHOD(stage, "create answers the sandbox to the caller's tenant", "[routes]") {
  auto& ex = call("POST", "/api/sandboxes", R"({"enableVnc":true})");
  CHECK(ex.status == 200);
  CHECK(ex.json()["id"] == living.value);
  CHECK(ex.json()["warnings"].size() == 1);
  CHECK(script.asked == std::vector<std::string>{"create acme"});
}

TEST_CASE_METHOD(stage, "create without a body, and without the prefix, takes the defaults", "[routes]") {
  CHECK(call("POST", "/sandboxes").status == 200);
  CHECK(call("POST", "/api/sandboxes", "{}").status == 200);
}

TEST_CASE_METHOD(stage, "create passes on why there is no sandbox", "[routes]") {
  script.created = fail(errc::capacity_exhausted, "No room");
  CHECK(call("POST", "/api/sandboxes").status == 503);
  script.created = fail(errc::image_not_found, "Image not found: x");
  auto& ex = call("POST", "/api/sandboxes", R"({"image":"x"})");
  CHECK((ex.status == 400 && ex.json()["detail"] == "Image not found: x"));
  CHECK(call("POST", "/api/sandboxes", "{").status == 400);
  CHECK(call("POST", "/api/sandboxes", R"({"ttl_seconds":[]})").status == 422);
}

TEST_CASE_METHOD(stage, "a creation names its parent in the body, in a header, or by where it comes from",
                 "[routes]") {
  const sandbox_id box{"0123456789abcdef01234567"};
  auto parent_of = [&](std::string body, http::header_list headers, principal from, principal asker) {
    auto& ex = request("POST", "/api/sandboxes", std::move(body), std::move(headers));
    ex.from = std::move(from);
    ex.asker = asker;
    run();
    CHECK(ex.status == 200);
    CHECK(script.wished.caller == asker);
    return script.wished.parent.value;
  };
  const principal acme{tenant_id{"acme"}}, inside{tenant_id{"acme"}, box};
  CHECK(parent_of("", {}, {}, acme) == "");
  CHECK(parent_of(R"({"parent_sandbox_id":"a"})", {{"X-Sandy-Parent", "b"}}, inside, acme) == "a");
  CHECK(parent_of(R"({"parentSandboxId":"a"})", {}, {}, acme) == "a");
  CHECK(parent_of(R"({"parent_sandbox_id":null})", {{"X-Sandy-Parent", "b"}}, inside, acme) == "b");
  CHECK(parent_of("", {}, inside, acme) == box.value);
  CHECK(parent_of("", {}, inside, inside) == box.value);
  CHECK(parent_of("", {}, inside, {tenant_id{"other"}}) == ""); // somebody else's key, given to the sandbox
  CHECK(call("POST", "/api/sandboxes", R"({"parent_sandbox_id":7})").status == 422);
}

TEST_CASE_METHOD(stage, "children are listed by their parent", "[routes]") {
  CHECK(call("GET", of_living("/children")).json()["total"] == 1);
  REQUIRE(script.listed);
  CHECK(script.listed->parent == living);
  CHECK(call("GET", "/sandboxes").json()["total"] == 1);
  CHECK(script.listed->parent == sandbox_id{});
  CHECK(call("GET", "/api/sandboxes/nonsense/children").json()["detail"] == "Sandbox not found");
}

TEST_CASE_METHOD(stage, "the machine's numbers are not for sandboxes", "[routes]") {
  const principal box{tenant_id{"acme"}, living};
  context->authenticate = [&](std::string_view key) -> std::optional<principal> {
    if (key == "token")
      return box;
    return key == "key" ? std::optional{principal{tenant_id{"acme"}}} : std::nullopt;
  };
  auto status = [&](std::string path, std::string key, principal from, principal asker) {
    auto& ex = request("GET", std::move(path), "", {{"Authorization", "Bearer " + key}});
    ex.from = std::move(from);
    ex.asker = std::move(asker);
    return run().status;
  };
  for (std::string path : {"/api/resources", "/api/metrics/timeseries"}) {
    CHECK(status(path, "token", {}, box) == 403);
    CHECK(status(path, "key", {}, {tenant_id{"acme"}}) == 200);
    CHECK(status(path, "key", box, {tenant_id{"acme"}}) == 200);
  }
  // Public: nobody has looked at the key before.
  CHECK(status("/metrics", "", {}, {}) == 200);
  CHECK(status("/metrics", "wrong", {}, {}) == 200);
  CHECK(status("/metrics", "token", {}, {}) == 403);
  CHECK(status("/metrics", "", box, {}) == 403);
  CHECK(status("/metrics", "key", box, {}) == 200);
  auto& ex = request("GET", "/health");
  ex.from = box;
  run();
  CHECK((ex.status == 200 && ex.json()["status"] == "ok" && !ex.json().contains("sandboxes")));
}

TEST_CASE_METHOD(stage, "a client that hangs up ends its creation", "[routes]") {
  auto& ex = request("POST", "/api/sandboxes");
  script.create_waits = true;
  script.on_create = [&] { ex.leave(); };
  run();
  CHECK(ex.status == 0);
  while (request_actors > 0)
    std::this_thread::yield();
  CHECK(script.asked == std::vector<std::string>{"create acme"});
}

TEST_CASE_METHOD(stage, "a sandbox that was made for a client that is gone is ended", "[routes]") {
  auto& ex = request("POST", "/api/sandboxes");
  script.on_create = [&] { ex.leave(); }; // and the answer comes all the same
  run();
  CHECK(ex.status == 0);
  CHECK(script.asked == std::vector<std::string>{"create acme", "terminate acme " + living.value});
}

TEST_CASE_METHOD(stage, "a creation that takes too long is given up", "[routes]") {
  context->limits.create_timeout = std::chrono::milliseconds{20};
  script.create_waits = true;
  CHECK(call("POST", "/api/sandboxes").status == 504);
  while (request_actors > 0)
    std::this_thread::yield();
}

TEST_CASE_METHOD(stage, "every sandbox route asks with tenant and id", "[routes]") {
  const std::vector<std::tuple<std::string, std::string, std::string, std::string>> table{
      {"GET", "", "", "get"},
      {"DELETE", "", "", "terminate"},
      {"POST", "/terminate", "", "terminate"},
      {"POST", "/refresh", R"({"ttl_seconds":"50"})", "refresh 50"},
      {"POST", "/refresh", "", "refresh 0"},
      {"POST", "/pause", "", "pause"},
      {"POST", "/resume", "{}", "resume"},
      {"GET", "/logs?tail=5", "", "logs 5"},
      {"POST", "/preview", R"({"port":3000})", "probe 3000"},
      {"POST", "/preview", "", "probe 5173"},
      {"GET", "/vnc", "", "get"},
      {"GET", "/processes", "", "open"},
  };
  for (const auto& [verb, rest, body, question] : table) {
    INFO(verb << " " << rest);
    script.asked.clear();
    CHECK(call(verb, of_living(rest), body).status == 200);
    CHECK(script.asked == std::vector<std::string>{question + " acme " + living.value});
  }
}

TEST_CASE_METHOD(stage, "a paused sandbox is described as one, and takes no commands", "[routes]") {
  auto body = call("POST", of_living("/pause")).json();
  CHECK(body["status"] == "paused");
  CHECK(body["paused"] == true);
  CHECK(body["pausedBy"] == "caller");
  body = call("POST", of_living("/resume")).json();
  CHECK(body["status"] == "running");
  CHECK(body["paused"] == false);
  CHECK(body["paused_by"].is_null());
  script.paused = true;
  for (std::string rest : {"/processes", "/files?path=a", "/files/list"}) {
    auto& refused = call("GET", of_living(rest));
    CHECK(refused.status == 409);
    CHECK(refused.json()["error"]["code"] == "sandbox_paused");
  }
}

TEST_CASE_METHOD(stage, "what cannot be an id is unknown without asking", "[routes]") {
  for (std::string id : {"nonsense", "0123456789abcdef", "46DA12D345FB7C0146DA12D3", "%2e%2e"})
    for (std::string rest :
         {"", "/logs", "/vnc", "/processes", "/files?path=a", "/files/list", "/files/stat?path=a"}) {
      auto& ex = call("GET", "/api/sandboxes/" + id + rest);
      CHECK(ex.status == 404);
      CHECK(ex.json()["detail"] == "Sandbox not found");
    }
  CHECK(script.asked.empty());
}

TEST_CASE_METHOD(stage, "somebody else's id is unknown", "[routes]") {
  auto& ex = call("GET", "/api/sandboxes/0123456789abcdef01234567");
  CHECK((ex.status == 404 && ex.json()["error"]["code"] == "sandbox_not_found"));
}

TEST_CASE_METHOD(stage, "a sandbox that ends between two questions is unknown", "[routes]") {
  io = nullptr;
  CHECK(call("POST", of_living("/exec"), R"({"command":"true"})").json()["detail"] == "Sandbox not found");
}

TEST_CASE_METHOD(stage, "preview tells the URL and whether something listens", "[routes]") {
  auto& ex = call("POST", of_living("/preview"), R"({"port":"3000","path":"x"})");
  CHECK(ex.json()["url"] == "http://3000-" + living.value + ".sandy.localhost:7330/x");
  CHECK(ex.json()["ready"] == true);
  CHECK(call("POST", of_living("/preview"), R"({"port":0})").status == 400);
}

TEST_CASE_METHOD(stage, "stats takes ids, and unknown ones are left out", "[routes]") {
  script.stats.resize(1);
  CHECK(call("GET", "/api/sandboxes/stats").json().size() == 1);
  CHECK(call("GET", "/api/sandboxes/stats?ids=" + living.value + ",%20nonsense,").json().size() == 1);
  CHECK(call("GET", "/api/sandboxes/stats?ids=nonsense").json() == json::array());
  CHECK(script.asked == std::vector<std::string>{"stats 0", "stats 1"});
}

TEST_CASE_METHOD(stage, "the server tells how it is", "[routes]") {
  for (std::string path : {"/api/health", "/health"})
    CHECK(call("GET", path).json()["status"] == "ok");
  CHECK(call("GET", "/api/resources").json().contains("canCreateSandbox"));
  CHECK(call("GET", "/api/metrics/timeseries").json().size() == 12);
  CHECK(call("GET", "/api/metrics/timeseries?hours=900").json().size() == 48);
  CHECK(call("GET", "/api/metrics/timeseries?hours=x").status == 422);
  CHECK(call("GET", "/metrics").sent.find("sandy_build_info") != std::string::npos);
  CHECK(call("GET", "/").json()["version"] == "0.1");
  script.accepting = false;
  auto& ex = call("GET", "/health");
  CHECK((ex.status == 503 && ex.json()["status"] == "draining" && ex.sent_header("Retry-After") == "1"));
}
