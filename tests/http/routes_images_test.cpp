#include "http/routes_support.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::tests;
using nlohmann::json;

TEST_CASE_METHOD(stage, "a snapshot is kept under the name asked for", "[routes]") {
  auto& ex = call("POST", of_living("/snapshot"), R"({"name":"ready"})");
  CHECK(ex.status == 200);
  CHECK(ex.json()["name"] == "ready");
  CHECK(ex.json()["image"] == "ready");
  CHECK(ex.json()["snapshot"] == true);
  CHECK(ex.json()["source_sandbox_id"] == living.value);
  CHECK(ex.json()["size_bytes"] == 7);
  CHECK(ex.json()["sizeBytes"] == 7);
  CHECK(call("POST", of_living("/snapshot")).status == 200);
}

TEST_CASE_METHOD(stage, "a name that no image can have is refused", "[routes]") {
  auto refused = [&](const char* name) {
    return call("POST", of_living("/snapshot"), json{{"name", name}}.dump()).status;
  };
  for (auto name : {"../x", "Upper", ".x", "a/b", "a b"})
    CHECK(refused(name) == 400);
  CHECK(call("POST", of_living("/snapshot"), R"({"name":7})").status == 422);
}

TEST_CASE_METHOD(stage, "a fork passes on what is to be different", "[routes]") {
  auto& ex = call("POST", of_living("/fork"), R"({"count":3,"ttl_seconds":60,"env":{"A":"1"}})");
  CHECK(ex.status == 200);
  CHECK(ex.json()["total"] == 3);
  CHECK(ex.json()["sandboxes"].size() == 3);
  CHECK(script.forked.id == living);
  CHECK(script.forked.count == 3);
  CHECK(script.forked.ttl_seconds == 60);
  CHECK(script.forked.env == environment{{"A", "1"}});
  CHECK(script.forked.caller.tenant.value == "acme");
  CHECK(call("POST", of_living("/fork")).json()["total"] == 1);
  for (auto count : {"0", "17", "1.5", "-1"})
    CHECK(call("POST", of_living("/fork"), std::string{R"({"count":)"} + count + "}").status == 400);
}

TEST_CASE_METHOD(stage, "a fork from inside with a key of the owner's makes children", "[routes]") {
  auto& ex = request("POST", of_living("/fork"));
  ex.from = {tenant_id{"acme"}, living};
  ex.asker = principal{tenant_id{"acme"}};
  run();
  CHECK(ex.status == 200);
  CHECK(script.forked.parent == living);
}

TEST_CASE_METHOD(stage, "an image is shown with its aliases, and by them", "[routes]") {
  context->images = image_names{{{"plain", "basic"}, {"ghcr.io/team/plain", "basic"}, {"mine", "basic"}}};
  auto& all = call("GET", "/api/images");
  CHECK(all.json()["images"][0]["aliases"] == json{"ghcr.io/team/plain", "mine", "plain"});
  CHECK(call("GET", "/api/images/plain").json()["name"] == "basic");
  CHECK(call("GET", "/api/images/ghcr.io%2Fteam%2Fplain:latest").json()["name"] == "basic");
  CHECK(call("GET", "/api/images/mine").json()["snapshot"] == true); // what has the name goes before
  CHECK(call("GET", "/api/images/other").status == 404);
}

TEST_CASE_METHOD(stage, "images are listed, shown and forgotten by name", "[routes]") {
  auto& all = call("GET", "/api/images");
  CHECK(all.json()["total"] == 2);
  CHECK(all.json()["images"][0]["name"] == "basic");
  CHECK_FALSE(all.json()["images"][0].contains("size_bytes"));
  CHECK(call("GET", "/api/images/mine").json()["snapshot"] == true);
  CHECK(call("GET", "/api/images/other").status == 404);
  CHECK(call("DELETE", "/api/images/mine").json()["deleted"] == true);
  CHECK(call("DELETE", "/api/images/basic").status == 403);
  auto& missing = call("DELETE", "/api/images/other");
  CHECK(missing.status == 404);
  CHECK(missing.json()["error"]["code"] == "image_not_found");
  CHECK(missing.json()["detail"] == "Image not found"); // not the words for a lost sandbox
}
