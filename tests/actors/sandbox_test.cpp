#include "machine.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::tests;
using namespace std::chrono_literals;

namespace {

const tenant_id alice{"alice"};

} // namespace

TEST_CASE_METHOD(machine, "a sandbox ends when its lease runs out", "[sandbox]") {
  start();
  auto made = ask(worker, wanted("alice", 60));
  advance(59'999ms);
  CHECK(driver.present.size() == 1);
  advance(1ms);
  CHECK(nothing_left());
  REQUIRE(records.stones.size() == 1);
  CHECK(records.stones[0].reason == end_reason::expired);
  CHECK(code_of(ask(worker, get_sandbox{alice, made->id}).error()) == errc::sandbox_not_found);
}

TEST_CASE_METHOD(machine, "a sandbox waits for its image, and no thread does", "[sandbox]") {
  start();
  driver.looks_in_vain = 3;
  auto asked = send(worker, wanted("alice", 60));
  run();
  CHECK_FALSE(asked.answered());
  CHECK(driver.creations == 0);
  for (int looks = 0; looks < 3; ++looks) {
    CHECK(driver.creations == 0);
    advance(200ms);
  }
  CHECK(asked.succeeded());
  CHECK(driver.creations == 1);
}

TEST_CASE_METHOD(machine, "a sandbox does not wait for its image for ever", "[sandbox]") {
  start();
  driver.looks_in_vain = 1'000'000;
  auto asked = send(worker, wanted("alice", 60));
  run();
  advance(16min);
  REQUIRE(asked.answered());
  CHECK(code_of(asked.answer()->error()) == errc::capacity_exhausted);
  CHECK(nothing_left());
}

TEST_CASE_METHOD(machine, "a refresh moves the lease, and it is stored", "[sandbox]") {
  start();
  auto made = ask(worker, wanted("alice", 60));
  advance(30s);
  auto renewed = ask(worker, refresh_sandbox{alice, made->id, 0});
  REQUIRE(renewed);
  CHECK(renewed->expires_at == wall() + 60'000);
  CHECK(records.stored[made->id].info.expires_at == wall() + 60'000);
  advance(59s);
  CHECK(driver.present.size() == 1);
  SECTION("and then it ends") {
    advance(1s);
    CHECK(nothing_left());
  }
  SECTION("to an earlier time as well") {
    REQUIRE(ask(worker, refresh_sandbox{alice, made->id, 10}));
    advance(9s);
    CHECK(driver.present.size() == 1);
    advance(1s);
    CHECK(nothing_left());
  }
}

TEST_CASE_METHOD(machine, "refresh and expiry in the same moment have one winner, and the answer says which",
                 "[sandbox]") {
  start();
  auto made = ask(worker, wanted("alice", 60));
  auto refresh_first = GENERATE(true, false);
  if (refresh_first) {
    advance(59'999ms);
    auto asked = send(worker, refresh_sandbox{alice, made->id, 60});
    run();
    advance(1ms);
    CHECK(asked.succeeded());
    CHECK(driver.present.size() == 1);
  } else {
    held = true; // the end is under way, its last step is not done
    advance(60s);
    auto refused = ask(worker, refresh_sandbox{alice, made->id, 60});
    CHECK(code_of(refused.error()) == errc::sandbox_not_found);
    held = false;
    release();
    CHECK(nothing_left());
  }
}

TEST_CASE_METHOD(machine, "a refresh that cannot be stored is refused and the old lease holds", "[sandbox]") {
  start();
  auto made = ask(worker, wanted("alice", 60));
  records.full = true;
  CHECK(code_of(ask(worker, refresh_sandbox{alice, made->id, 600}).error()) == errc::internal);
  CHECK(ask(worker, get_sandbox{alice, made->id})->expires_at == made->expires_at);
  advance(60s);
  CHECK(driver.present.empty());
}

TEST_CASE_METHOD(machine, "terminating while it is created ends it and tells the creator", "[sandbox]") {
  start();
  held = true;
  auto creating = send(worker, wanted());
  run();
  REQUIRE(records.stored.size() == 1);
  auto id = records.stored.begin()->first;
  auto first = send(worker, terminate_sandbox{alice, id});
  auto second = send(worker, terminate_sandbox{alice, id});
  run();
  CHECK_FALSE(first.answered());
  held = false;
  release();
  REQUIRE(creating.answered());
  CHECK(code_of(creating.answer()->error()) == errc::sandbox_ended);
  CHECK(first.succeeded());
  CHECK(second.succeeded());
  CHECK(nothing_left());
}

TEST_CASE_METHOD(machine, "the end is retried until the kernel agrees", "[sandbox]") {
  start();
  auto made = ask(worker, wanted());
  driver.failing_destroys = 5;
  auto asked = send(worker, terminate_sandbox{alice, made->id});
  run();
  for (int i = 0; i < 20; ++i) {
    CHECK(driver.present.empty() == asked.answered());
    CHECK(records.stored.empty() == asked.answered()); // the record outlives the kernel object
    advance(1s);
  }
  CHECK(asked.succeeded());
  CHECK(nothing_left());
}

TEST_CASE_METHOD(machine, "its log tells its life, newest last, and can be cut", "[sandbox]") {
  start();
  auto made = ask(worker, wanted());
  REQUIRE(ask(worker, refresh_sandbox{alice, made->id, 77}));
  auto lines = ask(worker, get_logs{alice, made->id, 0});
  REQUIRE(lines->size() == 2);
  CHECK(lines->at(0).line == "ready");
  CHECK(ask(worker, get_logs{alice, made->id, 1})->at(0).line == "renewed for 77 s");
}
