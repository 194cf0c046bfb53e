#include "machine.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::tests;
using namespace std::chrono_literals;

namespace {

const tenant_id alice{"alice"};

/// A machine with one sandbox that may be unused for a minute.
struct idle_machine : machine {
  sandbox_id id;

  ~idle_machine() { end_all(); }
  void make(bool pause_on_idle = false) {
    start();
    auto request = wanted("alice", 3600);
    request.idle_timeout_seconds = 60;
    request.pause_on_idle = pause_on_idle;
    auto made = ask(worker, request);
    REQUIRE(made);
    id = made->id;
  }
  bool lives() const { return driver.present.count(id) != 0; }
  bool paused() const { return driver.frozen.count(id) != 0; }
};

} // namespace

TEST_CASE_METHOD(idle_machine, "a sandbox that nobody uses for its idle timeout ends", "[idle]") {
  make();
  CHECK(records.stored[id].info.idle_timeout_seconds == 60);
  advance(59'999ms);
  CHECK(lives());
  advance(1ms);
  CHECK(nothing_left());
  CHECK(records.stones.at(0).reason == end_reason::idle);
}

TEST_CASE_METHOD(idle_machine, "every use puts the end off", "[idle]") {
  make();
  advance(30s);
  SECTION("a command") { REQUIRE(ask(worker, open_sandbox{alice, id})); }
  SECTION("a look at a port") { REQUIRE(ask(worker, probe_port{alice, id, 3000})); }
  SECTION("a renewed lease") { REQUIRE(ask(worker, refresh_sandbox{alice, id, 0})); }
  SECTION("whoever holds its data plane") { CHECK(data.find(id) != nullptr); }
  SECTION("what a process writes in the background") { driver.last_sign = driver.clock(); }
  advance(59s);
  CHECK(lives());
  advance(1s);
  CHECK(nothing_left());
}

TEST_CASE_METHOD(idle_machine, "looking at it is no use", "[idle]") {
  make();
  advance(30s);
  REQUIRE(ask(worker, get_sandbox{alice, id}));
  REQUIRE(ask(worker, list_sandboxes{alice}));
  REQUIRE(ask(worker, get_stats{alice, {}}));
  REQUIRE(ask(worker, get_logs{alice, id, 0}));
  advance(30s);
  CHECK(nothing_left());
}

TEST_CASE_METHOD(idle_machine, "with a stream open it is not idle, however quiet that is", "[idle]") {
  make();
  auto stream = data.find(id);
  CHECK_FALSE(data.idle_since(id));
  for (int i = 0; i < 5; ++i) {
    advance(59s);
    CHECK(lives());
  }
  stream = nullptr;
  CHECK(data.idle_since(id) == scheduler.clock().now());
  advance(59s);
  CHECK(lives());
  advance(1s);
  CHECK(nothing_left());
}

TEST_CASE_METHOD(idle_machine, "a stream that opens while the sandbox is asked whether it is quiet saves it",
                 "[idle]") {
  make();
  std::shared_ptr<sandbox_io> stream;
  driver.on_quiet_time = [&] { stream = data.find(id); };
  advance(60s);
  REQUIRE(stream);
  CHECK(lives());
  CHECK(ask(worker, open_sandbox{alice, id}));
}

TEST_CASE_METHOD(idle_machine, "a sandbox too busy to answer is not idle", "[idle]") {
  make();
  driver.guest_answers = false;
  advance(60s);
  CHECK(lives());
  driver.guest_answers = true;
  advance(60s);
  CHECK(nothing_left());
}

TEST_CASE_METHOD(idle_machine, "the idle timeout is the caller's, else the server's", "[idle]") {
  env.settings.default_idle_timeout = 90s;
  start();
  auto usual = ask(worker, wanted());
  auto request = wanted();
  request.idle_timeout_seconds = 0;
  auto never = ask(worker, request);
  CHECK(usual->idle_timeout_seconds == 90);
  CHECK(never->idle_timeout_seconds == 0);
  advance(90s);
  CHECK(driver.present == std::set<sandbox_id>{never->id});
}

TEST_CASE_METHOD(idle_machine, "after a restart the idle time starts anew", "[idle]") {
  make();
  advance(50s);
  kill(worker);
  start();
  advance(59s);
  CHECK(lives());
  advance(1s);
  CHECK(nothing_left());
}

TEST_CASE_METHOD(idle_machine,
                 "an idle sandbox is paused where that was asked for, and its next use wakes it", "[idle]") {
  make(true);
  advance(60s);
  REQUIRE(paused());
  auto info = ask(worker, get_sandbox{alice, id});
  CHECK(info->paused == pause_cause::idle);
  CHECK(records.stored[id].info.paused == pause_cause::idle);
  SECTION("a command") { REQUIRE(ask(worker, open_sandbox{alice, id})); }
  SECTION("a look at a port") { CHECK(ask(worker, probe_port{alice, id, 3000}).value()); }
  SECTION("a resume") { REQUIRE(ask(worker, resume_sandbox{alice, id})); }
  CHECK_FALSE(paused());
  CHECK(ask(worker, get_sandbox{alice, id})->paused == pause_cause::none);
  advance(59s);
  CHECK_FALSE(paused());
  advance(1s);
  CHECK(paused());
  CHECK(lives());
}

TEST_CASE_METHOD(idle_machine, "many who use it at once wake it once", "[idle]") {
  make(true);
  advance(60s);
  REQUIRE(paused());
  held = true;
  std::vector<question<sandbox_opened>> uses;
  for (int i = 0; i < 5; ++i)
    uses.push_back(send(worker, open_sandbox{alice, id}));
  run();
  CHECK(calls.size() == 1);
  held = false;
  release();
  for (const auto& each : uses)
    CHECK(each.succeeded());
}

TEST_CASE_METHOD(idle_machine, "a use that comes while it is paused for being idle is served", "[idle]") {
  make(true);
  std::optional<question<sandbox_opened>> used;
  driver.on_pause = [&] { used = send(worker, open_sandbox{alice, id}); };
  advance(60s);
  REQUIRE(used);
  CHECK(used->succeeded());
  CHECK_FALSE(paused());
}

TEST_CASE_METHOD(idle_machine, "a caller's pause is stronger than the idle one", "[idle]") {
  make(true);
  advance(60s);
  REQUIRE(paused());
  REQUIRE(ask(worker, pause_sandbox{alice, id}));
  CHECK(driver.pauses == 1);
  CHECK(records.stored[id].info.paused == pause_cause::caller);
  CHECK(code_of(ask(worker, open_sandbox{alice, id}).error()) == errc::sandbox_paused);
}

TEST_CASE_METHOD(idle_machine, "a sandbox that a caller paused is not idle, and is again after it goes on",
                 "[idle]") {
  make();
  REQUIRE(ask(worker, pause_sandbox{alice, id}));
  advance(600s);
  CHECK(lives());
  REQUIRE(ask(worker, resume_sandbox{alice, id}));
  advance(59s);
  CHECK(lives());
  advance(1s);
  CHECK(nothing_left());
}

TEST_CASE_METHOD(idle_machine, "an idle pause that fails is tried again after another timeout", "[idle]") {
  make(true);
  driver.fail_pause = true;
  advance(60s);
  CHECK(lives());
  CHECK(ask(worker, get_sandbox{alice, id})->paused == pause_cause::none);
  driver.fail_pause = false;
  advance(60s);
  CHECK(paused());
}

TEST_CASE_METHOD(machine, "who waited for its place has its whole lifetime before it", "[idle]") {
  env.settings.max_lifetime = 100s;
  env.settings.max_sandboxes = 1;
  env.settings.create_queue = 1;
  env.settings.create_wait = 60s;
  start();
  auto first = ask(worker, wanted());
  REQUIRE(first);
  auto waiting = send(worker, wanted("alice", 90));
  run();
  advance(30s);
  REQUIRE(ask(worker, terminate_sandbox{alice, first->id}));
  run();
  auto second = waiting.answer();
  REQUIRE(second);
  REQUIRE(*second);
  CHECK((*second)->created_at == wall());
  CHECK((*second)->expires_at == wall() + 90'000);
  CHECK((*second)->latest_end == wall() + 100'000);
}

TEST_CASE_METHOD(machine, "no renewal gets beyond the hard maximum, and the answers tell", "[idle]") {
  env.settings.max_lifetime = 100s;
  start();
  auto made = ask(worker, wanted("alice", 60));
  REQUIRE(made);
  CHECK(made->expires_at == made->created_at + 60'000);
  CHECK(made->latest_end == made->created_at + 100'000);
  auto long_one = ask(worker, wanted("alice", 3600));
  CHECK(long_one->expires_at == long_one->latest_end);
  CHECK(long_one->ttl_seconds == 100);
  advance(50s);
  auto renewed = ask(worker, refresh_sandbox{alice, made->id, 60});
  REQUIRE(renewed);
  CHECK(renewed->expires_at == made->created_at + 100'000);
  CHECK(records.stored[made->id].info.expires_at == renewed->expires_at);
  SECTION("it ends then") {
    advance(49s);
    CHECK(driver.present.size() == 2);
    advance(1s);
    CHECK(nothing_left());
  }
  SECTION("a server with another maximum enforces that from its start on") {
    kill(worker);
    env.settings.max_lifetime = 70s;
    start();
    CHECK(driver.present.size() == 2);
    CHECK(ask(worker, get_sandbox{alice, made->id})->latest_end == made->created_at + 70'000);
    advance(20s);
    CHECK(nothing_left());
  }
  SECTION("or at its start") {
    kill(worker);
    env.settings.max_lifetime = 50s;
    start();
    CHECK(nothing_left());
  }
}
