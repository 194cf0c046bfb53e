#include "actors/create_request.hpp"

#include "machine.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::tests;
using namespace std::chrono_literals;

namespace {

const tenant_id alice{"alice"};

struct pooled : machine {
  ~pooled() { end_all(); }
  void start_with(std::uint32_t warm) {
    env.settings.flavors["basic"] = {"basic", {}, warm, 0};
    start();
  }
  void pass(std::chrono::milliseconds time) {
    for (auto left = time; left.count() > 0; left -= 10ms) {
      scheduler.advance_time(10ms);
      run();
    }
  }
  std::set<sandbox_id> told; ///< sandboxes of which somebody heard
  pool_health numbers() {
    auto health = ask(worker, get_health{});
    REQUIRE(health);
    REQUIRE(health->pools.size() == 1);
    return health->pools[0];
  }
};

} // namespace

TEST_CASE_METHOD(pooled, "a pool fills to its target, and its members are nobody's", "[pool]") {
  start_with(3);
  pass(2s);
  CHECK(numbers().available == 3);
  CHECK(numbers().target == 3);
  CHECK(driver.present.size() == 3);
  CHECK(ask(worker, get_health{})->sandboxes == 0);
  CHECK(ask(worker, list_sandboxes{alice})->empty());
}

TEST_CASE_METHOD(pooled, "a refill is paced", "[pool]") {
  env.settings.pool_refill_rate = 2;
  start_with(10);
  pass(3s);
  CHECK(driver.creations >= 5);
  CHECK(driver.creations <= 8);
}

TEST_CASE_METHOD(pooled, "a claim makes a member the caller's, with what the caller asked for", "[pool]") {
  start_with(2);
  pass(2s);
  auto members = driver.present;
  auto request = wanted("alice", 77);
  request.env = {{"A", "b"}};
  request.expose_ports = {8080};
  request.workdir = "/elsewhere";
  request.limits.pids = 33;
  request.priority = 3;
  auto before = driver.creations;
  auto made = ask(worker, request);
  REQUIRE(made);
  CHECK(driver.creations == before);
  CHECK(members.count(made->id) == 1);
  CHECK(made->tenant == alice);
  CHECK(made->ttl_seconds == 77);
  CHECK(made->expires_at == wall() + 77'000);
  CHECK(made->created_at == wall());
  CHECK(made->expose_ports == std::vector<std::uint16_t>{8080});
  CHECK(made->workdir == "/elsewhere");
  CHECK(made->limits.pids == 33);
  CHECK(driver.limits_set.at(made->id).pids == 33);
  CHECK(records.stored.at(made->id).info.tenant == alice);
  CHECK(records.stored.at(made->id).env == request.env);
  CHECK(ask(worker, list_sandboxes{alice})->size() == 1);
  CHECK(numbers().hits == 1);
  pass(2s);
  CHECK(numbers().available == 2); // replaced
  pass(80s);
  CHECK(driver.present.count(made->id) == 0); // the claim's lease counts, not the member's
}

TEST_CASE_METHOD(pooled, "claims never share a member, and a drained pool still serves", "[pool]") {
  start_with(3);
  pass(2s);
  std::vector<question<sandbox_info>> claims;
  for (int i = 0; i < 10; ++i)
    claims.push_back(send(worker, wanted()));
  run();
  std::set<sandbox_id> given;
  for (const auto& each : claims) {
    auto answer = each.answer();
    REQUIRE(answer);
    REQUIRE(*answer);
    CHECK(given.insert((*answer)->id).second);
  }
  CHECK(given.size() == 10);
  std::set<std::uint32_t> slots;
  for (const auto& each : records.stored)
    CHECK(slots.insert(each.second.uid_slot).second);
  auto after = numbers();
  CHECK(after.hits == 3);
  CHECK(after.misses == 7);
  CHECK(after.target > 3); // the demand was seen
}

TEST_CASE_METHOD(pooled, "a dead member is replaced, never handed out", "[pool]") {
  env.publish = [this](const life_event& event) { told.insert(event.sandbox); };
  start_with(2);
  pass(2s);
  for (const auto& id : driver.present)
    driver.dead.insert(id);
  auto made = ask(worker, wanted());
  REQUIRE(made);
  CHECK(driver.dead.count(made->id) == 0);
  run();
  pass(2s);
  CHECK(told == std::set{made->id}); // nobody knows the others, nor hears of their end
  for (const auto& id : driver.present)
    CHECK(driver.dead.count(id) == 0);
  CHECK(numbers().available == numbers().target);
}

TEST_CASE_METHOD(pooled, "what a member cannot become is made", "[pool]") {
  start_with(1);
  pass(2s);
  auto member = *driver.present.begin();
  auto other_image = wanted();
  other_image.image = "other";
  CHECK(ask(worker, other_image)->id != member);
  auto other_disk = wanted();
  other_disk.limits.disk_bytes = 1ull << 30;
  CHECK(ask(worker, other_disk)->id != member);
  CHECK(ask(worker, wanted())->id == member);
}

TEST_CASE_METHOD(pooled, "a caller that goes away while it claims leaves nothing behind", "[pool]") {
  start_with(1);
  pass(2s);
  held = true;
  auto caller = system.spawn<coro::actor<create_request_state, create_request_actor>>(worker, 60s);
  send(caller, wanted());
  run();
  kill(caller);
  run();
  held = false;
  release();
  pass(2s);
  CHECK(ask(worker, get_health{})->sandboxes == 0);
  CHECK(driver.present.size() == 1); // the pool's
}

TEST_CASE_METHOD(pooled, "a new image and age roll the pool", "[pool]") {
  start_with(2);
  pass(2s);
  auto old = driver.present;
  SECTION("image") { driver.image_made = wall() + 1; }
  SECTION("age") { env.settings.pool_max_age = 1s; }
  pass(65s);
  for (const auto& id : driver.present)
    CHECK(old.count(id) == 0);
}

TEST_CASE_METHOD(pooled, "members survive a restart of the server", "[pool]") {
  start_with(2);
  pass(2s);
  auto members = driver.present;
  auto mine = ask(worker, wanted());
  REQUIRE(mine);
  kill(worker);
  worker = nullptr;
  run();
  start();
  pass(2s);
  CHECK(ask(worker, get_sandbox{alice, mine->id}));
  auto second = ask(worker, wanted());
  REQUIRE(second);
  CHECK(members.count(second->id) == 1);
}

TEST_CASE_METHOD(pooled, "members without a pool end at a restart", "[pool]") {
  start_with(2);
  pass(2s);
  kill(worker);
  worker = nullptr;
  run();
  start_with(0);
  run();
  CHECK(nothing_left());
}

TEST_CASE_METHOD(pooled, "warm sandboxes give way to callers on a full machine", "[pool]") {
  env.settings.max_sandboxes = 3;
  env.settings.create_wait = 0ms;
  start_with(3);
  pass(2s);
  auto request = wanted();
  request.image = "other"; // cannot use a member
  for (int i = 0; i < 3; ++i)
    CHECK(ask(worker, request));
  run();
  CHECK(driver.present.size() == 3);
  CHECK(code_of(ask(worker, request).error()) == errc::capacity_exhausted);
}
