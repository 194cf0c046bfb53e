// Who ends so that somebody more important gets a place.

#include "actors/create_request.hpp"
#include "machine.hpp"

#include <catch2/catch.hpp>

#include <random>

using namespace sandy;
using namespace sandy::tests;
using namespace std::chrono_literals;

namespace {

const tenant_id alice{"alice"};

struct contended : machine {
  ~contended() { end_all(); }

  create_sandbox request(std::uint8_t priority, bool preemptable = false, std::uint64_t memory_gib = 1) {
    auto made = wanted();
    made.priority = priority;
    made.preemptable = preemptable;
    made.limits.memory_bytes = memory_gib << 30;
    return made;
  }
  /// Each a little younger than the one before.
  sandbox_id made(const create_sandbox& request) {
    advance(10ms);
    auto info = ask(worker, request);
    REQUIRE(info);
    return info->id;
  }
  sandbox_id id_of(const question<sandbox_info>& asked) {
    REQUIRE(asked.answered());
    auto info = asked.answer();
    REQUIRE(*info);
    return (*info)->id;
  }
  bool lives(const sandbox_id& id) { return driver.present.count(id) != 0; }
  end_reason reason_of(const sandbox_id& id) {
    for (const auto& stone : records.stones)
      if (stone.id == id)
        return stone.reason;
    return end_reason::none;
  }
  std::size_t when(const std::string& what) {
    for (std::size_t i = 0; i < driver.history.size(); ++i)
      if (driver.history[i] == what)
        return i;
    FAIL("never happened: " + what);
    return 0;
  }
  std::vector<life_event> told;
};

} // namespace

TEST_CASE_METHOD(contended,
                 "a more important creation ends a preemptable sandbox, and waits until it is gone",
                 "[preemption]") {
  env.settings.max_sandboxes = 1;
  env.publish = [this](life_event event) { told.push_back(std::move(event)); };
  start();
  auto low = made(request(3, true));
  auto streams = data.find(low);
  driver.failing_destroys = 1; // the kernel takes its time
  auto high = send(worker, request(1));
  run();
  CHECK_FALSE(high.answered());
  CHECK(data.find(low) == nullptr);
  CHECK(lives(low));
  CHECK(driver.creations == 1);
  advance(1s);
  auto winner = id_of(high);
  CHECK_FALSE(lives(low));
  CHECK(when("destroy " + low.value) < when("create " + winner.value));
  CHECK(reason_of(low) == end_reason::preempted);
  CHECK(code_of(ask(worker, get_sandbox{alice, low}).error()) == errc::sandbox_not_found);
  CHECK(ask(worker, terminate_sandbox{alice, low})->reason == end_reason::preempted);
  REQUIRE(told.size() == 4);
  CHECK(told[1].type == life_event_type::ending);
  CHECK(told[1].reason == end_reason::preempted);
  CHECK(told[2].type == life_event_type::ended);
  CHECK(told[3].type == life_event_type::created);
  CHECK(numbers.expose().find("sandy_preemptions_total{cause=\"creation\"} 1\n") != std::string::npos);
}

TEST_CASE_METHOD(contended, "nobody of the same importance ends, nor anybody who is not preemptable",
                 "[preemption]") {
  env.settings.max_sandboxes = 2;
  env.settings.create_wait = 1s;
  start();
  made(request(2, true));
  made(request(3, false));
  auto asked = send(worker, request(2));
  run();
  advance(1s);
  REQUIRE(asked.answered());
  CHECK(code_of(asked.answer()->error()) == errc::capacity_exhausted);
  CHECK(driver.destructions == 0);
}

TEST_CASE_METHOD(contended, "the least important ends first, then the one that has been idle for longest",
                 "[preemption]") {
  env.settings.max_sandboxes = 4;
  start();
  auto normal = made(request(2, true));
  auto older = made(request(3, true));
  auto younger = made(request(3, true));
  auto kept = made(request(3, false));
  made(request(1));
  CHECK_FALSE(lives(older));
  made(request(1));
  CHECK_FALSE(lives(younger));
  CHECK(lives(normal));
  made(request(1));
  CHECK_FALSE(lives(normal));
  CHECK(lives(kept));
  CHECK(code_of(ask(worker, request(1)).error()) == errc::internal); // it waits
}

TEST_CASE_METHOD(contended, "as few end as needed, and none when all would not be enough", "[preemption]") {
  env.settings.room.memory_overcommit = 1000; // 24 GiB
  env.settings.create_wait = 0ms;
  start();
  made(request(2, false, 8));
  made(request(2, false, 8));
  auto small = made(request(3, true, 1));
  auto tiny = made(request(3, true, 1));
  auto large = made(request(3, true, 4));
  made(request(2, false, 2));
  CHECK(code_of(ask(worker, request(1, false, 8)).error()) == errc::capacity_exhausted);
  CHECK(driver.destructions == 0);
  made(request(1, false, 4));
  CHECK_FALSE(lives(large));
  CHECK(lives(small));
  CHECK(lives(tiny));
}

TEST_CASE_METHOD(contended, "two creations never count on the same victim", "[preemption]") {
  env.settings.max_sandboxes = 2;
  env.settings.create_wait = 0ms;
  start();
  auto first = made(request(3, true));
  auto second = made(request(3, true));
  held = true;
  auto one = send(worker, request(1));
  auto two = send(worker, request(1));
  auto three = send(worker, request(1));
  run();
  CHECK_FALSE(one.answered());
  CHECK_FALSE(two.answered());
  REQUIRE(three.answered());
  CHECK(code_of(three.answer()->error()) == errc::capacity_exhausted);
  held = false;
  release();
  CHECK(one.succeeded());
  CHECK(two.succeeded());
  CHECK_FALSE(lives(first));
  CHECK_FALSE(lives(second));
  CHECK(driver.present.size() == 2);
}

TEST_CASE_METHOD(contended, "a place that is about to be free needs no victim", "[preemption]") {
  env.settings.max_sandboxes = 2;
  env.settings.create_wait = 0ms;
  start();
  auto low = made(request(3, true));
  auto leaving = made(request(1));
  driver.failing_destroys = 1;
  send(worker, terminate_sandbox{alice, leaving});
  run();
  auto high = send(worker, request(1));
  run();
  CHECK_FALSE(high.answered());
  advance(1s);
  CHECK(high.succeeded());
  CHECK(lives(low));
}

TEST_CASE_METHOD(contended, "children go with a victim, before it, and count as room", "[preemption]") {
  env.settings.room.memory_overcommit = 1000; // 24 GiB
  start();
  auto parent = made(request(3, true, 6));
  auto below = request(2, false, 2); // as preemptable as what it ends with
  below.parent = parent;
  auto child = made(below);
  made(request(1, false, 8));
  SECTION("alone, when that is enough") {
    made(request(1, false, 8));
    made(request(1, false, 2));
    CHECK_FALSE(lives(child));
    CHECK(lives(parent));
  }
  SECTION("with it") {
    made(request(1, false, 8));
    auto winner = made(request(1, false, 8));
    CHECK(reason_of(parent) == end_reason::preempted);
    CHECK(reason_of(child) == end_reason::parent_ended);
    CHECK(when("destroy " + child.value) < when("destroy " + parent.value));
    CHECK(when("destroy " + parent.value) < when("create " + winner.value));
  }
}

TEST_CASE_METHOD(contended, "a sandbox never ends what it descends from", "[preemption]") {
  env.settings.max_sandboxes = 2;
  env.settings.create_wait = 0ms;
  start();
  auto parent = made(request(2, true));
  auto other = made(request(3, true));
  auto below = request(2);
  below.parent = parent;
  auto child = made(below); // took the other's place
  CHECK_FALSE(lives(other));
  below.priority = 0; // a child is never more important than its parent
  CHECK(code_of(ask(worker, below).error()) == errc::capacity_exhausted);
  CHECK(lives(parent));
  CHECK(lives(child));
}

TEST_CASE_METHOD(contended, "a caller that hangs up takes no place; its victim ends all the same",
                 "[preemption]") {
  env.settings.max_sandboxes = 1;
  start();
  auto low = made(request(3, true));
  driver.failing_destroys = 1;
  auto caller = system.spawn<coro::actor<create_request_state, create_request_actor>>(worker, 60s);
  send(caller, request(1));
  run();
  kill(caller, caf::exit_reason::user_shutdown);
  advance(1s);
  CHECK(nothing_left());
  CHECK(reason_of(low) == end_reason::preempted);
  CHECK(ask(worker, request(3)));
}

TEST_CASE_METHOD(contended, "a victim that the kernel does not let go of gives no place away",
                 "[preemption]") {
  env.settings.max_sandboxes = 1;
  env.settings.create_wait = 1s;
  start();
  made(request(3, true));
  driver.failing_destroys = 1000;
  auto high = send(worker, request(1));
  run();
  for (int i = 0; i < 29; ++i)
    advance(1s);
  CHECK_FALSE(high.answered());
  advance(1s);
  REQUIRE(high.answered());
  CHECK(code_of(high.answer()->error()) == errc::capacity_exhausted);
  CHECK(driver.creations == 1);
  driver.failing_destroys = 0;
}

TEST_CASE_METHOD(contended, "short of memory, preemptable sandboxes end one at a time until there is enough",
                 "[preemption]") {
  start();
  auto kept = made(request(3, false));
  auto normal = made(request(2, true));
  auto older = made(request(3, true));
  auto younger = made(request(3, true));
  host.memory_available_bytes = 100ull << 20;
  advance(2s);
  CHECK_FALSE(lives(older));
  CHECK(lives(younger));
  CHECK(reason_of(older) == end_reason::preempted);
  advance(2s); // it has gone: what that freed shows in the next look
  CHECK(lives(younger));
  advance(2s);
  CHECK_FALSE(lives(younger));
  CHECK(lives(normal));
  host.memory_available_bytes = 10ull << 30;
  for (int i = 0; i < 5; ++i)
    advance(2s);
  CHECK(lives(normal));
  CHECK(lives(kept));
  CHECK(numbers.expose().find("sandy_preemptions_total{cause=\"memory\"} 2\n") != std::string::npos);
}

TEST_CASE_METHOD(contended, "short of memory, warm sandboxes go first and none is made", "[preemption]") {
  env.settings.flavors["basic"].warm = 2;
  start();
  for (int i = 0; i < 20; ++i)
    advance(100ms);
  REQUIRE(driver.present.size() == 2);
  auto other = request(3, false);
  other.image = "other";
  auto kept = made(other);
  host.memory_available_bytes = 100ull << 20;
  for (int i = 0; i < 10; ++i)
    advance(2s);
  CHECK(driver.present == std::set{kept});
  host.memory_available_bytes = 10ull << 30;
  for (int i = 0; i < 60; ++i)
    advance(2s);
  CHECK(driver.present.size() == 3);
}

TEST_CASE_METHOD(contended, "however creations, ends and hang-ups race, no place is given away twice",
                 "[preemption]") {
  constexpr std::size_t places = 4;
  auto seed = GENERATE(range(0u, 300u));
  std::mt19937 dice{seed};
  auto chance = [&](unsigned one_in) { return dice() % one_in == 0; };
  INFO("seed " << seed);
  env.settings.max_sandboxes = places;
  env.settings.create_queue = 6;
  env.settings.create_wait = 2s;
  env.settings.create_concurrency = 2;
  start();
  std::vector<question<sandbox_info>> asked;
  std::vector<create_request_actor> callers;
  for (int i = 0; i < 60; ++i) {
    auto wish = request(static_cast<std::uint8_t>(dice() % 4), !chance(3));
    if (!driver.present.empty() && chance(4))
      wish.parent = *std::next(driver.present.begin(), dice() % driver.present.size());
    callers.push_back(system.spawn<coro::actor<create_request_state, create_request_actor>>(worker, 60s));
    asked.push_back(send(callers.back(), wish));
    if (chance(4))
      driver.failing_destroys = 1;
    if (chance(3))
      caf::anon_send_exit(callers[dice() % callers.size()], caf::exit_reason::user_shutdown);
    if (!driver.present.empty() && chance(4))
      send(worker, terminate_sandbox{alice, *driver.present.begin()});
    held = chance(3);
    for (auto steps = dice() % 40; steps > 0 && scheduler.try_run_once(); --steps)
      REQUIRE(driver.present.size() <= places);
    if (!held)
      release();
    if (chance(3))
      advance(std::chrono::milliseconds{dice() % 1500});
    REQUIRE(driver.present.size() <= places);
  }
  held = false;
  driver.failing_destroys = 0;
  for (int i = 0; i < 40; ++i) {
    release();
    advance(1s);
  }
  for (const auto& each : asked)
    CHECK(each.answered());
  auto left = ask(worker, get_resources{});
  CHECK(left->room.waiting == 0);
  CHECK(left->room.making == 0);
  CHECK(left->sandboxes == driver.present.size());
  CHECK(driver.present.size() == records.stored.size());
  callers.clear();
}
