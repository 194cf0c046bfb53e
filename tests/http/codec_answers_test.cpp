#include "http/codec/create.hpp"
#include "http/codec/exec.hpp"
#include "http/codec/files.hpp"
#include "http/codec/machine.hpp"
#include "http/codec/sandbox.hpp"
#include "http/codec/time_format.hpp"

#include <nlohmann/json.hpp>

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::http;
using namespace sandy::http::codec;
using nlohmann::json;

namespace {

const sandbox_id id{"46da12d345fb7c0146da12d3"};
constexpr unix_millis ten_o_clock = 1'768'903'200'000; // 2026-01-20 10:00:00 UTC

sandbox_info some_sandbox() {
  sandbox_info info;
  info.id = id;
  info.state = sandbox_state::ready;
  info.flavor = "basic";
  info.limits = {512ull << 20, 1500, 256, 1ull << 30};
  info.expose_ports = {3000};
  info.workdir = "/workspace";
  info.created_at = ten_o_clock;
  info.expires_at = ten_o_clock + 600'000;
  info.ttl_seconds = 600;
  info.agents = {"aider", "codex"};
  return info;
}

} // namespace

TEST_CASE("times have milliseconds and an offset, and never a Z", "[codec]") {
  CHECK(iso_time(0) == "1970-01-01T00:00:00.000+00:00");
  CHECK(iso_time(ten_o_clock + 7) == "2026-01-20T10:00:00.007+00:00");
  CHECK(iso_time(-1) == "1969-12-31T23:59:59.999+00:00");
  CHECK(iso_time(std::numeric_limits<unix_millis>::max()) == "9999-12-31T23:59:59.999+00:00");
  CHECK(iso_time(std::numeric_limits<unix_millis>::min()) == "0000-01-01T00:00:00.000+00:00");
  CHECK(http_date(ten_o_clock) == "Tue, 20 Jan 2026 10:00:00 GMT");
}

TEST_CASE("the sandbox object has every spelling that a client reads", "[codec]") {
  auto body = to_json(some_sandbox(), {"https", ".sandy.example.com", 443}, ten_o_clock + 1, {"A sentence."});
  for (auto name : {"sandboxId", "sandbox_id", "id"})
    CHECK(body[name] == id.value);
  for (auto name : {"url", "public_url", "publicUrl", "sandbox_url"})
    CHECK(body[name] == "https://" + id.value + ".sandy.example.com");
  for (auto name : {"createdAt", "created_at"})
    CHECK(body[name] == "2026-01-20T10:00:00.000+00:00");
  for (auto name : {"timeoutAt", "timeout_at", "expiresAt"})
    CHECK(body[name] == "2026-01-20T10:10:00.000+00:00");
  for (auto name : {"ttl_remaining", "ttlRemaining", "ttl_seconds"})
    CHECK(body[name] == 600);
  CHECK(body["status"] == "running");
  CHECK(body["priority"] == 2);
  CHECK(body["priorityName"] == "NORMAL");
  CHECK(body["expose_ports"] == json{3000});
  CHECK(body["vnc"] == json{{"enabled", false}});
  CHECK(body["capabilities"]["agents"] == json{"aider", "codex"});
  CHECK(body["warnings"] == json{"A sentence."});
  CHECK(body["image"] == "default");
  CHECK(body["resources"]["memory_mb"] == 512);
  CHECK(body["resources"]["cpu"] == 1.5);
  CHECK(body["parent_sandbox_id"].is_null());
  CHECK(to_json(some_sandbox(), {}, ten_o_clock + 999'000)["ttl_remaining"] == 0);
  CHECK(body["paused"] == false);
  CHECK(body["paused_by"].is_null());
  CHECK(body["latest_expires_at"].is_null());
  auto child = some_sandbox();
  child.parent.value = "0123456789abcdef01234567";
  for (auto name : {"parent_sandbox_id", "parentSandboxId"})
    CHECK(to_json(child, {}, ten_o_clock)[name] == child.parent.value);
}

TEST_CASE("a sandbox tells how long it may be unused, when it ends at the latest, and who paused it",
          "[codec]") {
  auto info = some_sandbox();
  info.idle_timeout_seconds = 60;
  info.pause_on_idle = true;
  info.paused = pause_cause::idle;
  info.latest_end = ten_o_clock + 600'000;
  auto body = to_json(info, {}, ten_o_clock);
  CHECK(body["status"] == "paused");
  for (auto name : {"paused", "pause_on_idle", "pauseOnIdle"})
    CHECK(body[name] == true);
  for (auto name : {"paused_by", "pausedBy"})
    CHECK(body[name] == "idle");
  for (auto name : {"idle_timeout_seconds", "idleTimeoutSeconds"})
    CHECK(body[name] == 60);
  for (auto name : {"latest_expires_at", "latestExpiresAt"})
    CHECK(body[name] == "2026-01-20T10:10:00.000+00:00");
}

TEST_CASE("a port in the public URL shows only where it is not the scheme's own", "[codec]") {
  CHECK(public_url({"http", ".sandy.localhost", 7330}, id) == "http://" + id.value + ".sandy.localhost:7330");
  CHECK(public_url({"http", ".sandy.localhost", 80}, id) == "http://" + id.value + ".sandy.localhost");
  CHECK(public_url({"https", ".x", 0}, id, 3000) == "https://3000-" + id.value + ".x");
  auto seen = to_json(preview{"https://x", 5173, true, 0});
  CHECK((seen["previewUrl"] == seen["preview_url"] && seen["url"] == "https://x" && seen["ready"] == true));
  CHECK((seen["expiresAt"].is_null() && seen["signed"] == false));
  CHECK(to_json(preview{"https://x", 1, true, 1000})["expires_at"] == "1970-01-01T00:00:01.000+00:00");
}

TEST_CASE("the URL of a page has one slash, and a signature before its fragment", "[codec]") {
  CHECK(page_url("http://x", "", "") == "http://x");
  CHECK(page_url("http://x", "/", "") == "http://x");
  CHECK(page_url("http://x", "a/b", "") == "http://x/a/b");
  CHECK(page_url("http://x", "", "1.f") == "http://x/?sandy_access=1.f");
  CHECK(page_url("http://x", "/a?b=1#c", "1.f") == "http://x/a?b=1&sandy_access=1.f#c");
  CHECK(page_url("http://x", "#c", "") == "http://x#c");
}

TEST_CASE("an ended sandbox says so in the words of the contract", "[codec]") {
  auto body = to_json(sandbox_ended{id, end_reason::terminated});
  CHECK((body["status"] == "terminated" && body["ok"] == true));
  CHECK((body["sandboxId"] == id.value && body["sandbox_id"] == id.value));
  sandbox_info plain;
  plain.id = id;
  CHECK(vnc_json(plain, {}, "", false)["enabled"] == false);
  CHECK(vnc_json(plain, {}, "", false)["port"].is_null());
  auto desktop = plain;
  desktop.image = desktop_image;
  CHECK(vnc_json(desktop, {}, "", false)["enabled"] == false); // made without
  desktop.expose_ports = {desktop_port};
  auto shown = vnc_json(desktop, {"https", ".x", 0}, "640x480", true);
  CHECK(shown["enabled"] == true);
  CHECK(shown["port"] == 5900);
  CHECK(shown["url"] == "https://7900-" + id.value + ".x/");
  CHECK(shown["websocketUrl"] == "wss://7900-" + id.value + ".x/websockify");
  CHECK(shown["resolution"] == "640x480");
  CHECK(shown["ready"] == true);
  CHECK(to_json(desktop, {"https", ".x", 0}, 0)["vncPort"] == 5900);
}

TEST_CASE("statistics keep to the types that clients validate", "[codec]") {
  sandbox_stats stats;
  stats.id = id;
  stats.cpu_cores_used = 3;
  stats.cpu_millis_limit = 1500;
  stats.memory_bytes = 256;
  stats.memory_limit_bytes = 1024;
  auto body = to_json(std::vector{stats, sandbox_stats{}});
  REQUIRE(body.is_array());
  CHECK(body[0]["sandbox_id"] == id.value);
  CHECK(body[0]["cpu_ratio"] == 1.0);
  CHECK(body[0]["memory_ratio"] == 0.25);
  CHECK(body[0]["cpu_cores_total"].is_number_integer());
  CHECK(body[0]["cpu_cores_total"] == 2);
  CHECK(body[1]["cpu_ratio"].is_null());
  CHECK(body[1]["cpu_cores_total"].is_null());
}

TEST_CASE("resources have both spellings and safe numbers", "[codec]") {
  worker_resources resources;
  resources.can_create = true;
  resources.by_priority = {1, 0, 2, 3};
  resources.memory_total_bytes = 100;
  resources.memory_available_bytes = 25;
  resources.disk_free_bytes = 7; // and a total of 0
  resources.load1 = 0.5;
  auto body = to_json(resources);
  CHECK((body["canCreateSandbox"] == true && body["can_create_sandbox"] == true));
  CHECK(body["rejectReason"].is_null());
  CHECK(body["priorityBreakdown"] == json{{"CRITICAL", 1}, {"HIGH", 0}, {"NORMAL", 2}, {"LOW", 3}});
  CHECK((body["memoryUsedBytes"] == 75 && body["memory_percent"] == 75.0));
  CHECK((body["diskUsedRatio"] == 0.0 && body["disk_used_ratio"] == 0.0 && body["diskUsedBytes"] == 0));
  CHECK((body["load1"] == 0.5 && body["load_avg_1m"] == 0.5));
  CHECK(body["warmPool"].is_object());
}

TEST_CASE("resources say what is promised and left of each thing", "[codec]") {
  worker_resources resources;
  resources.room = {{{"memory", 100, 250, 3200, 25, 5}, {"cpu", 2000, 1500, 0, 500, 0}}, 3, 1200, 4};
  auto body = to_json(resources);
  CHECK(body["room"]["memory"] ==
        json{{"total", 100}, {"promised", 250}, {"promisable", 3200}, {"left", 25}, {"reserve", 5}});
  CHECK(body["room"]["cpu"] ==
        json{{"total", 2.0}, {"promised", 1.5}, {"promisable", nullptr}, {"left", 0.5}, {"reserve", 0.0}});
  CHECK((body["waitingCreations"] == 3 && body["waiting_creations"] == 3));
  CHECK((body["longestWaitMs"] == 1200 && body["runningCreations"] == 4));
}

TEST_CASE("health is JSON although it is written by hand", "[codec]") {
  worker_health health{true, 3, {{"basic", 1, 2}, {"a\"b", 0, 0}}};
  auto body = json::parse(health_body(health, "0.1"));
  CHECK((body["status"] == "ok" && body["sandboxes"] == 3 && body["version"] == "0.1"));
  CHECK(body["warmPool"] ==
        json{{"basic", {{"available", 1}, {"target", 2}}}, {"a\"b", {{"available", 0}, {"target", 0}}}});
  CHECK(json::parse(health_body({}, ""))["status"] == "draining");
  CHECK(json::parse(health_body(health, "0.1", false)) ==
        json{{"status", "ok"}, {"warmPool", json::object()}, {"version", "0.1"}});
}

TEST_CASE("the time series keeps its order and its bounds", "[codec]") {
  auto body = to_json(std::vector<resource_sample>{{0, 0.5, 2, -1}, {60'000, 0, 0, 0}});
  REQUIRE(body.size() == 2);
  CHECK((body[0]["cpu_ratio"] == 0.5 && body[0]["memory_ratio"] == 1.0 && body[0]["disk_ratio"] == 0.0));
  CHECK(body[1]["timestamp"] == "1970-01-01T00:01:00.000+00:00");
}

TEST_CASE("an exit has both spellings of its code", "[codec]") {
  auto body = exec_fields({143, 15, false, 12, 34}, 0, 5);
  CHECK((body["exitCode"] == 143 && body["exit_code"] == 143 && body["signal"] == 15));
  CHECK((body["timedOut"] == false && body["timed_out"] == false));
  CHECK((body["durationMs"] == 12 && body["duration_ms"] == 12));
  CHECK((body["truncated"] == true && body["stdoutTruncatedBytes"] == 0 &&
         body["stderr_truncated_bytes"] == 5));
}

TEST_CASE("a process has no exit code while it runs", "[codec]") {
  process_info info;
  info.process_id = 7;
  info.command = "a\xff";
  auto body = to_json(info);
  CHECK((body["pid"] == 7 && body["status"] == "running" && body["exitCode"].is_null()));
  CHECK(body["command"] == "a\xef\xbf\xbd");
  info.status = process_status::exited;
  info.exit.exit_code = 3;
  info.output_bytes = 9;
  CHECK((to_json(info)["exitCode"] == 3 && to_json(info)["outputBytes"] == 9));
}

TEST_CASE("a listing is sorted, and its names are text", "[codec]") {
  std::vector<file_info> entries{{"b", file_kind::regular, 2, 0644, 0, ""},
                                 {"a", file_kind::directory, 0, 0755, 0, ""},
                                 {"a/\xff", file_kind::symlink, 1, 0777, 0, "b"}};
  auto body = list_json("/workspace", entries);
  CHECK(body["files"] == json{"a/\xef\xbf\xbd", "b"});
  CHECK(body["entries"].size() == 3);
  CHECK((body["entries"][0]["type"] == "directory" && body["entries"][0]["mode"] == "0755"));
  CHECK(body["entries"][1]["target"] == "b");
}
