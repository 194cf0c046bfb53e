// Warm containers of one model.

#include "actors/container_pool.hpp"
#include "actors/container_pool_keeper.hpp"
#include "coro/timer.hpp"
#include "tests/actors/machine.hpp"
#include "tests/actors/scripted_container.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::tests;
using namespace std::chrono_literals;

namespace {

struct model_pool : machine {
  model_pool() {
    env.check_health = [this](const sandbox_id& id, std::uint16_t) { return check(id); };
    env.open_container = [this](std::shared_ptr<sandbox_io>, const std::string&) {
      return std::make_shared<scripted_box>(told);
    };
    env.store_calls = [this](std::function<void()> call) {
      if (slow_store)
        writes.push_back(std::move(call));
      else
        call();
    };
    what.model = "baseline";
    what.image = "basic";
    what.warm = 2;
    what.most = 3;
    what.at_once = 1;
    what.most_waiting = 1;
    start();
  }
  ~model_pool() { end_all(); }

  coro::task<void> check(sandbox_id id) {
    if (silent)
      co_await coro::sleep_for(1h);
    if (!only.empty() && !only.contains(id))
      co_return fail(errc::upstream_error, "nothing listens yet");
    if (!healthy || sick.contains(id))
      co_return fail(errc::upstream_error, "nothing listens");
    co_return caf::unit;
  }
  void open() {
    pool = system.spawn<coro::actor<container_pool_state, container_pool_actor>>(&env, what, worker);
    pass(2s);
  }
  /// The same, by a keeper.
  void open_kept() {
    pool = system.spawn<coro::actor<container_pool_keeper_state, container_pool_actor>>("baseline", [this] {
      ++spawned;
      kept = system.spawn<coro::actor<container_pool_state, container_pool_actor>>(&env, what, worker);
      return kept;
    });
    pass(2s);
  }
  void crash() { kill(std::exchange(kept, nullptr), caf::exit_reason::unhandled_exception); }
  /// A new server finds what is there. The containers' new actors have asked nobody yet.
  void restart() {
    close();
    kill(worker);
    worker = nullptr;
    run();
    start();
  }
  void close() {
    kept = nullptr;
    kill(pool);
    pool = nullptr;
    run();
  }
  void write_all() {
    slow_store = false;
    while (!writes.empty()) {
      auto call = std::move(writes.front());
      writes.pop_front();
      call();
    }
    run();
  }
  void end_all() {
    write_all();
    if (pool)
      close();
    machine::end_all();
  }
  void pass(std::chrono::milliseconds time) {
    for (auto step = 100ms; time > 0ms; time -= step)
      advance(step);
  }
  container_pool_health health() { return *ask(pool, get_container_pool{}); }
  container_claim claim(std::uint64_t number) {
    auto got = ask(pool, claim_container{number, 1000});
    REQUIRE(got);
    return *got;
  }
  void give_back(std::uint64_t number, bool failed = false) {
    caf::anon_send(pool, return_container{number, failed});
    pass(1s);
  }
  std::set<sandbox_id> boxes() const { return driver.present; }

  model_containers what;
  container_script told;
  bool slow_store = false;
  std::deque<std::function<void()>> writes;
  bool healthy = true;
  bool silent = false;       ///< they do not answer how they are
  std::set<sandbox_id> only; ///< no other becomes healthy; empty: all do
  std::set<sandbox_id> sick;
  container_pool_actor pool;
  container_pool_actor kept; ///< by the keeper that `pool` is then
  int spawned = 0;
};

} // namespace

TEST_CASE_METHOD(model_pool, "a pool of containers fills to its target, each in a sandbox of its own",
                 "[pool]") {
  open();
  CHECK(health().ready == 2);
  CHECK(health().busy == 0);
  CHECK(boxes().size() == 2);
  CHECK(driver.last_container.image == "basic");
}

TEST_CASE_METHOD(model_pool, "requests get different containers, and more are made while all are busy",
                 "[pool]") {
  open();
  std::set<sandbox_id> used{claim(1).sandbox, claim(2).sandbox};
  CHECK(used.size() == 2);
  CHECK(health().busy == 2);
  auto third = send(pool, claim_container{3, 60'000});
  pass(1s);
  REQUIRE(third.succeeded());
  CHECK_FALSE(used.contains((**third.answer()).sandbox));
  CHECK(health().ready == 3);
}

TEST_CASE_METHOD(model_pool, "a container serves as many requests at a time as it may", "[pool]") {
  what.at_once = 2;
  what.warm = what.most = 1;
  open();
  CHECK(claim(1).sandbox == claim(2).sandbox);
  auto third = send(pool, claim_container{3, 60'000});
  pass(1s);
  CHECK_FALSE(third.answered());
  give_back(1);
  CHECK(third.succeeded());
}

TEST_CASE_METHOD(model_pool, "who waits too long, or behind too many, is told so", "[pool]") {
  what.warm = what.most = 1;
  open();
  claim(1);
  auto waits = send(pool, claim_container{2, 5'000});
  run();
  auto refused = ask(pool, claim_container{3, 5'000});
  CHECK(code_of(refused.error()) == errc::capacity_exhausted);
  pass(6s);
  REQUIRE(waits.answered());
  CHECK(code_of(waits.answer()->error()) == errc::deadline_exceeded);
  give_back(1);
  CHECK(health().busy == 0);
}

TEST_CASE_METHOD(model_pool, "who is gone while it waits takes nobody's place", "[pool]") {
  what.warm = what.most = 1;
  open();
  claim(1);
  auto gone = send(pool, claim_container{2, 60'000});
  run();
  give_back(2); // what a client's end does
  CHECK(gone.answered());
  CHECK_FALSE(gone.succeeded());
  give_back(1);
  CHECK(health().busy == 0);
  claim(3);
}

TEST_CASE_METHOD(model_pool, "a container that failed a request is replaced", "[pool]") {
  what.warm = 1;
  open();
  auto first = claim(1).sandbox;
  give_back(1, true);
  CHECK_FALSE(boxes().contains(first));
  CHECK(health().ready == 1);
  CHECK(claim(2).sandbox != first);
}

TEST_CASE_METHOD(model_pool, "one that became unhealthy is replaced, in use or not", "[pool]") {
  open();
  auto used = claim(1).sandbox;
  sick = boxes();
  auto before = boxes();
  pass(60s);
  sick.clear();
  CHECK(boxes().contains(used)); // until its request is over
  give_back(1);
  CHECK_FALSE(boxes().contains(used));
  for (const auto& id : before)
    CHECK_FALSE(boxes().contains(id));
}

TEST_CASE_METHOD(model_pool, "one whose sandbox ended is replaced", "[pool]") {
  open();
  auto victim = *boxes().begin();
  ask(worker, terminate_sandbox{{tenant_id{"gateway:baseline"}}, victim});
  pass(15s);
  CHECK(health().ready == 2);
  CHECK_FALSE(boxes().contains(victim));
}

TEST_CASE_METHOD(model_pool, "old ones and those that served enough are replaced, spare ones end", "[pool]") {
  SECTION("old") {
    what.max_age = 60s;
    what.warm = 1;
    open();
    auto first = *boxes().begin();
    pass(75s);
    CHECK_FALSE(boxes().contains(first));
    CHECK(health().ready == 1);
  }
  SECTION("all at once: they are replaced one by one, and as many as are wanted stay ready") {
    what.max_age = 60s;
    open();
    auto before = boxes();
    only = before; // what is made in their place takes its time
    pass(100s);
    CHECK(health().ready == 2);
    only.clear();
    for (int i = 0; i < 600; ++i) {
      pass(100ms);
      CHECK(health().ready >= 2);
    }
    for (const auto& id : before)
      CHECK_FALSE(boxes().contains(id));
  }
  SECTION("all at once, without room for one more: one is left while another is made") {
    what.max_age = 60s;
    what.most = 2;
    open();
    auto before = boxes();
    only = before;
    pass(80s);
    CHECK(health().ready == 1);
    only.clear();
    pass(40s);
    CHECK(health().ready == 2);
    for (const auto& id : before)
      CHECK_FALSE(boxes().contains(id));
  }
  SECTION("nearly worn") {
    what.warm = 1;
    what.most_served = 4;
    open();
    auto first = *boxes().begin();
    for (std::uint64_t number = 1; number <= 3; ++number) {
      CHECK(claim(number).sandbox == first);
      give_back(number);
    }
    CHECK(boxes().contains(first));
    CHECK(health().ready == 2); // the next one is there before it goes
    pass(11s);
    CHECK_FALSE(boxes().contains(first));
    CHECK(health().ready == 1);
  }
  SECTION("worn") {
    what.warm = 1;
    what.most_served = 1;
    open();
    auto first = claim(1).sandbox;
    CHECK(boxes().contains(first));
    give_back(1);
    CHECK_FALSE(boxes().contains(first));
    CHECK(health().ready == 1);
  }
  SECTION("spare") {
    what.warm = 1;
    what.spare_time = 60s;
    open();
    claim(1);
    auto second = send(pool, claim_container{2, 60'000});
    pass(1s);
    REQUIRE(second.succeeded());
    give_back(1);
    give_back(2);
    CHECK(health().ready == 2);
    pass(75s);
    CHECK(health().ready == 1);
    CHECK(boxes().size() == 1);
  }
}

TEST_CASE_METHOD(model_pool, "who waits for what cannot be made is told why, and it is tried again",
                 "[pool]") {
  what.image = "none";
  open();
  CHECK(health().ready == 0);
  CHECK_FALSE(health().error.empty());
  auto told_why = send(pool, claim_container{1, 120'000});
  pass(90s);
  REQUIRE(told_why.answered());
  CHECK(code_of(told_why.answer()->error()) == errc::upstream_error);
  CHECK(boxes().empty()); // nothing stays of what failed
}

TEST_CASE_METHOD(model_pool, "a new pool takes over what an earlier one left, and ends what it cannot use",
                 "[pool]") {
  open();
  auto before = boxes();
  close();
  SECTION("the same") {
    open();
    CHECK(boxes() == before);
    CHECK(health().ready == 2);
  }
  SECTION("they would be made of something else now") {
    switch (GENERATE(range(0, 7))) {
    case 0:
      env.settings.images = image_names{{{"other", "basic"}}};
      what.image = "other";
      break;
    case 1:
      driver.image_made = 2;
      break;
    case 2:
      what.env = {{"TEMPERATURE", "0"}};
      break;
    case 3:
      what.command = {"--fast"};
      break;
    case 4:
      what.llm_api_key = "another";
      break;
    case 5:
      what.limits.memory_bytes = 2ull << 30;
      break;
    case 6:
      what.port = 9000;
      break;
    }
    open();
    pass(2s);
    for (const auto& id : before)
      CHECK_FALSE(boxes().contains(id));
    CHECK(health().ready == 2);
  }
}

TEST_CASE_METHOD(model_pool,
                 "a container that is free now may be had without waiting, and not one that one has",
                 "[pool]") {
  what.warm = what.most = 2;
  what.at_once = 2;
  open();
  auto first = claim(1).sandbox;
  auto second = ask(pool, claim_container{2, 0, first});
  REQUIRE(second);
  CHECK(second->sandbox != first);
  for (std::uint64_t number : {3, 4}) { // both are as busy as can be
    auto more = ask(pool, claim_container{number, 0, first});
    CHECK(static_cast<bool>(more) == (number == 3));
    if (!more)
      CHECK(code_of(more.error()) == errc::capacity_exhausted);
  }
  CHECK(health().waiting == 0);
  REQUIRE(ask(pool, claim_container{5, 0}));
  CHECK(code_of(ask(pool, claim_container{6, 0}).error()) == errc::capacity_exhausted);
}

TEST_CASE_METHOD(model_pool, "a pool that crashed is spawned again, and finds its containers", "[pool]") {
  open_kept();
  CHECK(spawned == 1);
  auto before = boxes();
  claim(1);
  pass(70s); // it has lived long
  crash();
  CHECK(spawned == 2);
  pass(2s);
  CHECK(boxes() == before);
  CHECK(health().ready == 2);
  CHECK(health().busy == 0);
  // What the dead one gave away is nobody's any more, and what the new one gives is its own.
  auto mine = claim(2).sandbox;
  give_back(1, true);
  CHECK(boxes() == before);
  CHECK(health().busy == 1);
  give_back(2, true);
  CHECK_FALSE(boxes().contains(mine));
}

TEST_CASE_METHOD(model_pool,
                 "who waits for a pool that crashes is told so, and one that keeps crashing is given time",
                 "[pool]") {
  what.warm = what.most = 1;
  open_kept();
  claim(1);
  auto waits = send(pool, claim_container{2, 60'000});
  run();
  crash();
  REQUIRE(waits.answered());
  CHECK(code_of(waits.answer()->error()) == errc::capacity_exhausted);
  CHECK(spawned == 1); // it had just begun
  auto refused = ask(pool, claim_container{3, 60'000});
  CHECK(code_of(refused.error()) == errc::capacity_exhausted);
  pass(1s);
  CHECK(spawned == 2);
  crash();
  pass(1s);
  CHECK(spawned == 2);
  pass(1s);
  CHECK(spawned == 3);
  pass(1s);
  claim(4);
}

TEST_CASE_METHOD(model_pool, "without a pool nothing stays", "[pool]") {
  open();
  pass(400s);
  CHECK(boxes().size() == 2); // it renews their leases
  close();
  pass(400s);
  CHECK(boxes().empty());
}

TEST_CASE_METHOD(model_pool, "who comes while a new pool looks around gets what is found", "[pool]") {
  open();
  auto before = boxes();
  close();
  pool = system.spawn<coro::actor<container_pool_state, container_pool_actor>>(&env, what, worker);
  auto early = send(pool, claim_container{1, 60'000}); // before it heard of any container
  pass(1s);
  REQUIRE(early.succeeded());
  CHECK(before.contains((**early.answer()).sandbox));
  CHECK(boxes() == before);
}

TEST_CASE_METHOD(model_pool, "one that is found is kept until it is known how it is", "[pool]") {
  open();
  auto before = boxes();
  silent = true;
  restart();
  open();
  CHECK(boxes() == before);
  CHECK(health().ready == 2);
  pass(20s);
  CHECK(boxes() == before);
  SECTION("well") {
    silent = false;
    pass(60s);
    CHECK(boxes() == before);
  }
  SECTION("not well") {
    only = {sandbox_id{"none"}};
    silent = false;
    pass(60s);
    for (const auto& id : before)
      CHECK_FALSE(boxes().contains(id));
  }
}

TEST_CASE_METHOD(model_pool, "a look that nobody answers is no reason to replace a container, two are",
                 "[pool]") {
  open();
  auto before = boxes();
  slow_store = true; // a lease is not renewed before it is written
  pass(75s);
  CHECK(health().ready == 2);
  SECTION("it was busy for a while") {
    write_all();
    pass(120s);
    CHECK(boxes() == before);
    CHECK(health().ready == 2);
  }
  SECTION("it stays so") {
    pass(70s);
    CHECK(health().ready == 0);
    write_all();
  }
}
