#include "machine.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::tests;
using namespace std::chrono_literals;

namespace {

const tenant_id alice{"alice"};
const tenant_id bob{"bob"};

struct relatives : machine {
  create_sandbox child_of(const sandbox_id& parent, std::uint32_t ttl = 0) const {
    auto request = wanted("alice", ttl);
    request.parent = parent;
    return request;
  }
  /// What a process in that sandbox asks for, with the sandbox's own token.
  create_sandbox from_inside(const sandbox_id& where) const {
    auto request = wanted("alice", 0);
    request.caller.sandbox = where;
    return request;
  }
  sandbox_id make(const create_sandbox& request) {
    auto made = ask(worker, request);
    REQUIRE(made);
    return made->id;
  }
};

} // namespace

TEST_CASE_METHOD(relatives,
                 "a child has its parent's limits at most, its own lifetime, and its parent's name",
                 "[children]") {
  start();
  auto request = wanted();
  request.limits = {512u << 20, 500, 100, 1ull << 30};
  request.priority = 2;
  auto parent = make(request);
  auto greedy = child_of(parent, 100'000);
  greedy.limits = {1ull << 40, 9000, 10, 0};
  greedy.priority = 0;
  auto made = ask(worker, greedy);
  REQUIRE(made);
  CHECK(made->parent == parent);
  CHECK(made->limits == resource_limits{512u << 20, 500, 10, 1ull << 30});
  CHECK(made->ttl_seconds == 3600);
  CHECK(made->priority == 2);
  CHECK(ask(worker, child_of(parent))->ttl_seconds == 600);
  CHECK(ask(worker, refresh_sandbox{alice, made->id, 100'000})->ttl_seconds == 3600);
  CHECK(records.stored[made->id].info.parent == parent);
}

TEST_CASE_METHOD(relatives, "what a sandbox creates is its child, and all that it reaches", "[children]") {
  start();
  auto parent = make(wanted());
  auto sibling = make(wanted());
  auto child = make(from_inside(parent));
  principal inside{alice, parent};
  CHECK(ask(worker, get_sandbox{inside, parent})->id == parent);
  CHECK(ask(worker, get_sandbox{inside, child})->parent == parent);
  CHECK(code_of(ask(worker, get_sandbox{inside, sibling}).error()) == errc::sandbox_not_found);
  CHECK(code_of(ask(worker, terminate_sandbox{inside, sibling}).error()) == errc::sandbox_not_found);
  CHECK(code_of(ask(worker, get_sandbox{principal{alice, child}, parent}).error()) ==
        errc::sandbox_not_found);
  CHECK(ask(worker, list_sandboxes{inside})->size() == 2);
  CHECK(ask(worker, list_sandboxes{inside, parent})->size() == 1);
  CHECK(ask(worker, list_sandboxes{alice})->size() == 3);
  auto foreign = from_inside(parent);
  foreign.parent = sibling;
  CHECK(code_of(ask(worker, foreign).error()) == errc::sandbox_not_found);
}

TEST_CASE_METHOD(relatives, "a parent of somebody else is unknown", "[children]") {
  start();
  auto parent = make(wanted());
  auto request = child_of(parent);
  request.caller = principal{bob};
  CHECK(code_of(ask(worker, request).error()) == errc::sandbox_not_found);
  CHECK(code_of(ask(worker, list_sandboxes{bob, parent}).error()) == errc::sandbox_not_found);
}

TEST_CASE_METHOD(relatives, "descendants end with their ancestor, for whatever reason it ends",
                 "[children]") {
  start();
  auto parent = make(wanted("alice", 60));
  auto child = make(child_of(parent));
  make(child_of(child));
  make(child_of(child));
  auto stranger = make(wanted());
  SECTION("terminated") { CHECK(ask(worker, terminate_sandbox{alice, parent})); }
  SECTION("expired") {
    scheduler.advance_time(61s);
    run();
  }
  CHECK(driver.present == std::set{stranger});
  CHECK(records.stored.size() == 1);
  std::map<sandbox_id, end_reason> reasons;
  for (const auto& stone : records.stones)
    reasons[stone.id] = stone.reason;
  CHECK(reasons[child] == end_reason::parent_ended);
  CHECK(records.stones.back().id == parent); // the deepest first
  CHECK(records.stones[2].id == child);
}

TEST_CASE_METHOD(relatives, "a child that is still being created ends with its parent", "[children]") {
  start();
  auto parent = make(wanted());
  held = true;
  auto creation = send(worker, child_of(parent));
  run();
  auto end = send(worker, terminate_sandbox{alice, parent});
  run();
  CHECK_FALSE(end.answered());
  CHECK(code_of(ask(worker, child_of(parent)).error()) == errc::sandbox_not_found); // no more of them
  held = false;
  release();
  REQUIRE(end.answered());
  CHECK(end.succeeded());
  REQUIRE(creation.answered());
  CHECK(code_of(creation.answer()->error()) == errc::sandbox_ended);
  CHECK(nothing_left());
}

TEST_CASE_METHOD(relatives, "a burst of creations by one parent stops at its limits", "[children]") {
  env.settings.children.max_per_hour = 4;
  env.settings.children.max_alive = 3;
  start();
  auto parent = make(wanted());
  held = true;
  std::vector<question<sandbox_info>> burst;
  for (int i = 0; i < 20; ++i)
    burst.push_back(send(worker, from_inside(parent)));
  run();
  held = false;
  release();
  int made = 0, refused = 0;
  for (const auto& each : burst) {
    REQUIRE(each.answered());
    each.succeeded() ? ++made : ++refused;
    if (!each.succeeded())
      CHECK(code_of(each.answer()->error()) == errc::rate_limited);
  }
  CHECK(made == 3);
  CHECK(refused == 17);
}

TEST_CASE_METHOD(relatives, "after a restart children have their parents, limits go on, and orphans end",
                 "[children]") {
  env.settings.children.max_per_hour = 2;
  start();
  auto parent = make(wanted());
  auto child = make(child_of(parent));
  auto dead = make(child_of(parent));
  CHECK(ask(worker, terminate_sandbox{alice, dead}));
  auto lost = make(wanted());
  auto orphan = make(child_of(lost));
  kill(worker);
  worker = nullptr;
  run();
  driver.dead.insert(lost); // ended while nobody looked
  start();
  CHECK(ask(worker, list_sandboxes{alice, parent})->at(0).id == child);
  CHECK(code_of(ask(worker, child_of(parent)).error()) == errc::rate_limited);
  CHECK(driver.present == std::set{parent, child});
  CHECK(code_of(ask(worker, get_sandbox{alice, orphan}).error()) == errc::sandbox_not_found);
}

TEST_CASE_METHOD(relatives, "a sandbox that is gone creates nothing with its token", "[children]") {
  start();
  auto parent = make(wanted());
  CHECK(ask(worker, terminate_sandbox{alice, parent}));
  CHECK(code_of(ask(worker, from_inside(parent)).error()) == errc::unauthorized);
  CHECK(ask(worker, list_sandboxes{principal{alice, parent}})->empty());
}

TEST_CASE_METHOD(relatives, "a parent that ends at any moment of its child's creation leaves no child",
                 "[children]") {
  env.settings.flavors["basic"].warm = GENERATE(0u, 2u);
  auto steps = GENERATE(range(0, 30));
  start();
  for (int i = 0; i < 50 && driver.present.size() < env.settings.flavors["basic"].warm; ++i)
    advance(100ms);
  auto parent = make(wanted());
  auto creation = send(worker, child_of(parent));
  for (int i = 0; i < steps && scheduler.try_run_once(); ++i) {
  }
  auto end = send(worker, terminate_sandbox{alice, parent});
  run();
  REQUIRE(end.answered());
  REQUIRE(creation.answered());
  CHECK(end.succeeded());
  for (const auto& each : records.stored)
    CHECK(each.second.info.tenant.value.empty()); // what is left is the pool's
  CHECK(ask(worker, list_sandboxes{alice})->empty());
}
