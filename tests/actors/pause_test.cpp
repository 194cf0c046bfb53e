#include "machine.hpp"

#include <catch2/catch.hpp>

#include <random>

using namespace sandy;
using namespace sandy::tests;
using namespace std::chrono_literals;

namespace {

const tenant_id alice{"alice"};

/// A machine that keeps what it tells the world.
struct pausing : machine {
  std::vector<life_event_type> told;

  pausing() {
    env.publish = [this](const life_event& event) { told.push_back(event.type); };
    start();
  }
  ~pausing() { end_all(); }

  int count(life_event_type type) const {
    return static_cast<int>(std::count(told.begin(), told.end(), type));
  }
  /// The kernel and the record say the same of every sandbox.
  bool agree() const {
    for (const auto& [id, record] : records.stored)
      if ((record.info.paused != pause_cause::none) != (driver.frozen.count(id) != 0))
        return false;
    return true;
  }
};

} // namespace

TEST_CASE_METHOD(pausing, "a paused sandbox stands still until it is resumed", "[pause]") {
  auto id = ask(worker, wanted())->id;
  for (int i = 0; i < 2; ++i) { // may be repeated
    auto paused = ask(worker, pause_sandbox{alice, id});
    REQUIRE(paused);
    CHECK(paused->paused == pause_cause::caller);
    CHECK(paused->state == sandbox_state::ready);
  }
  CHECK(driver.frozen.count(id) == 1);
  CHECK(driver.pauses == 1);
  CHECK(records.stored[id].info.paused == pause_cause::caller);
  CHECK(count(life_event_type::paused) == 1);

  CHECK(ask(worker, get_sandbox{alice, id})->paused == pause_cause::caller);
  CHECK(ask(worker, list_sandboxes{alice})->size() == 1);
  CHECK(ask(worker, get_stats{alice, {id}})->size() == 1);
  CHECK(ask(worker, get_logs{alice, id, 1})->at(0).line == "paused");

  for (int i = 0; i < 2; ++i) {
    auto resumed = ask(worker, resume_sandbox{alice, id});
    REQUIRE(resumed);
    CHECK(resumed->paused == pause_cause::none);
  }
  CHECK(driver.frozen.empty());
  CHECK(records.stored[id].info.paused == pause_cause::none);
  CHECK(count(life_event_type::resumed) == 1);
  CHECK(ask(worker, open_sandbox{alice, id}));
}

TEST_CASE_METHOD(pausing, "who uses a sandbox that a caller paused is told how to go on", "[pause]") {
  auto id = ask(worker, wanted())->id;
  REQUIRE(ask(worker, pause_sandbox{alice, id}));
  for (auto refused :
       {ask(worker, open_sandbox{alice, id}).error(), ask(worker, probe_port{alice, id, 3000}).error()}) {
    CHECK(code_of(refused) == errc::sandbox_paused);
    CHECK(text_of(refused).find("/resume") != std::string::npos);
  }
  CHECK(driver.frozen.size() == 1);
}

TEST_CASE_METHOD(pausing, "pausing and resuming are for those who reach the sandbox", "[pause]") {
  auto id = ask(worker, wanted())->id;
  CHECK(code_of(ask(worker, pause_sandbox{tenant_id{"bob"}, id}).error()) == errc::sandbox_not_found);
  CHECK(code_of(ask(worker, resume_sandbox{tenant_id{"bob"}, id}).error()) == errc::sandbox_not_found);
  CHECK(code_of(ask(worker, pause_sandbox{alice, make_sandbox_id()}).error()) == errc::sandbox_not_found);
  CHECK(driver.pauses == 0);
}

TEST_CASE_METHOD(pausing, "a lease goes on while paused, and is renewed as ever", "[pause]") {
  auto id = ask(worker, wanted("alice", 60))->id;
  REQUIRE(ask(worker, pause_sandbox{alice, id}));
  advance(30s);
  SECTION("it ends then") {
    advance(30s);
    CHECK(nothing_left());
    CHECK(driver.frozen.empty());
    CHECK(records.stones.at(0).reason == end_reason::expired);
  }
  SECTION("or later") {
    REQUIRE(ask(worker, refresh_sandbox{alice, id, 60}));
    advance(59s);
    CHECK(driver.frozen.count(id) == 1);
    advance(1s);
    CHECK(nothing_left());
  }
}

TEST_CASE_METHOD(pausing, "a paused sandbox ends like any other, and with its parent", "[pause]") {
  auto parent = ask(worker, wanted())->id;
  auto request = wanted();
  request.parent = parent;
  auto child = ask(worker, request)->id;
  auto ends_parent = GENERATE(true, false);
  REQUIRE(ask(worker, pause_sandbox{alice, child}));
  CHECK(driver.frozen.count(parent) == 0); // a pause is its sandbox's alone
  REQUIRE(ask(worker, terminate_sandbox{alice, ends_parent ? parent : child}));
  CHECK(driver.frozen.empty());
  CHECK(driver.present.count(child) == 0);
  CHECK(driver.present.count(parent) == (ends_parent ? 0 : 1));
}

TEST_CASE_METHOD(pausing, "a pause that fails leaves a sandbox that runs", "[pause]") {
  auto id = ask(worker, wanted())->id;
  SECTION("because a process cannot be stopped") {
    driver.fail_pause = true;
    CHECK(code_of(ask(worker, pause_sandbox{alice, id}).error()) == errc::sandbox_failed);
  }
  SECTION("because it cannot be stored") {
    records.full = true;
    CHECK(code_of(ask(worker, pause_sandbox{alice, id}).error()) == errc::internal);
    CHECK(driver.pauses == 0);
    records.full = false;
  }
  CHECK(agree());
  CHECK(told == std::vector{life_event_type::created});
  CHECK(ask(worker, open_sandbox{alice, id}));
}

TEST_CASE_METHOD(pausing, "a resume that fails leaves it paused", "[pause]") {
  auto id = ask(worker, wanted())->id;
  REQUIRE(ask(worker, pause_sandbox{alice, id}));
  SECTION("because the kernel refuses") { driver.fail_resume = true; }
  SECTION("because it cannot be stored") { records.full = true; }
  CHECK(code_of(ask(worker, resume_sandbox{alice, id}).error()) == errc::internal);
  driver.fail_resume = records.full = false;
  CHECK(agree());
  CHECK(ask(worker, get_sandbox{alice, id})->paused == pause_cause::caller);
  CHECK(ask(worker, resume_sandbox{alice, id}));
  CHECK(agree());
}

TEST_CASE_METHOD(pausing, "a pause and the end have one winner", "[pause]") {
  auto id = ask(worker, wanted())->id;
  held = true;
  SECTION("the end that comes while the pause is under way waits for it and takes all") {
    auto pausing = send(worker, pause_sandbox{alice, id});
    run();
    auto ending = send(worker, terminate_sandbox{alice, id});
    run();
    CHECK_FALSE(ending.answered());
    release();
    CHECK(code_of(pausing.answer()->error()) == errc::sandbox_not_found);
    CHECK(ending.succeeded());
    CHECK(count(life_event_type::paused) == 0);
  }
  SECTION("a pause that comes when the end has begun is refused") {
    auto ending = send(worker, terminate_sandbox{alice, id});
    run();
    CHECK(code_of(ask(worker, pause_sandbox{alice, id}).error()) == errc::sandbox_not_found);
    CHECK(code_of(ask(worker, resume_sandbox{alice, id}).error()) == errc::sandbox_not_found);
    release();
    CHECK(ending.succeeded());
  }
  CHECK(nothing_left());
  CHECK(driver.frozen.empty());
}

TEST_CASE_METHOD(pausing, "a sandbox that is not made yet cannot be paused", "[pause]") {
  held = true;
  auto creating = send(worker, wanted());
  run();
  auto id = records.stored.begin()->first;
  CHECK_FALSE(ask(worker, pause_sandbox{alice, id}));
  held = false;
  release();
  CHECK(creating.succeeded());
  CHECK(agree());
}

TEST_CASE_METHOD(machine, "after a crash a paused sandbox is paused, and the kernel agrees with the record",
                 "[pause]") {
  start();
  auto request = wanted();
  request.idle_timeout_seconds = 60;
  auto id = ask(worker, request)->id;
  auto stored = GENERATE(pause_cause::none, pause_cause::caller, pause_cause::idle);
  auto was_frozen = GENERATE(true, false);
  kill(worker);
  records.stored[id].info.paused = stored;
  if (was_frozen)
    driver.frozen.insert(id);
  start();
  CHECK(driver.frozen.count(id) == (stored == pause_cause::none ? 0 : 1));
  auto found = ask(worker, get_sandbox{alice, id});
  REQUIRE(found);
  CHECK(found->paused == stored);
  CHECK(found->idle_timeout_seconds == 60);
  advance(60s); // no janitor takes it for a leftover
  if (stored != pause_cause::none) {
    REQUIRE(ask(worker, resume_sandbox{alice, id}));
    CHECK(driver.frozen.empty());
  }
}

TEST_CASE_METHOD(machine, "a sandbox whose guest does not answer after the thaw is not taken over",
                 "[pause]") {
  start();
  auto id = ask(worker, wanted())->id;
  kill(worker);
  driver.frozen.insert(id);
  driver.silent_when_frozen.insert(id);
  start();
  CHECK(nothing_left());
}

TEST_CASE_METHOD(pausing,
                 "whatever comes in whatever order, everybody is answered and kernel and store agree",
                 "[pause]") {
  auto seed = GENERATE(range(1, 400));
  CAPTURE(seed);
  std::mt19937 random{static_cast<unsigned>(seed)};
  auto pick = [&](int most) { return static_cast<int>(random() % static_cast<unsigned>(most)); };
  auto request = wanted("alice", 40);
  request.idle_timeout_seconds = 5;
  request.pause_on_idle = pick(2) == 0;
  auto id = ask(worker, request)->id;
  held = true;
  std::vector<question<sandbox_info>> infos;
  std::vector<question<sandbox_opened>> opened;
  std::vector<question<sandbox_ended>> ended;
  for (int step = 0; step < 40; ++step)
    switch (pick(12)) {
    case 0:
    case 1:
      infos.push_back(send(worker, pause_sandbox{alice, id}));
      break;
    case 2:
    case 3:
      infos.push_back(send(worker, resume_sandbox{alice, id}));
      break;
    case 4:
    case 5:
      opened.push_back(send(worker, open_sandbox{alice, id}));
      break;
    case 6:
      infos.push_back(send(worker, refresh_sandbox{alice, id, static_cast<std::uint32_t>(1 + pick(20))}));
      break;
    case 7:
      advance(std::chrono::milliseconds{pick(6000)});
      break;
    case 8:
      driver.fail_pause = pick(4) == 0;
      break;
    case 9:
      if (pick(10) == 0)
        ended.push_back(send(worker, terminate_sandbox{alice, id}));
      break;
    default:
      run();
      if (!calls.empty()) { // the kernel may answer in any order
        std::swap(calls.front(), calls[static_cast<std::size_t>(pick(static_cast<int>(calls.size())))]);
        auto call = std::move(calls.front());
        calls.pop_front();
        call();
        run();
      }
    }
  held = false;
  release();
  run();
  for (const auto& each : infos)
    CHECK(each.answered());
  for (const auto& each : opened)
    CHECK(each.answered());
  for (const auto& each : ended)
    CHECK(each.answered());
  CHECK(agree());
  auto paused_then = count(life_event_type::paused), resumed_then = count(life_event_type::resumed);
  CHECK((paused_then == resumed_then || paused_then == resumed_then + 1));
  ask(worker, terminate_sandbox{alice, id});
  CHECK(nothing_left());
  CHECK(driver.frozen.empty());
  CHECK(count(life_event_type::ended) == 1);
}
