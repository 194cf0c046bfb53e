#include "machine.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::tests;
using namespace std::chrono_literals;

namespace {

const tenant_id alice{"alice"};

/// A machine whose sandboxes reach the API: remembers for whom a door is open.
struct edge : machine {
  edge() {
    env.serve_inside = [this](runtime::unique_fd listener, principal inside) -> std::shared_ptr<void> {
      CHECK(listener);
      if (refuses)
        return nullptr;
      open.push_back(inside);
      return {this, [this, inside](void*) {
                std::erase(open, inside);
                left_at_close = driver.present.count(inside.sandbox);
              }};
    };
  }
  ~edge() { end_all(); }
  std::vector<principal> open;
  std::size_t left_at_close = 0; ///< 1: the sandbox was still there when its door was closed
  bool refuses = false;
};

} // namespace

TEST_CASE_METHOD(edge, "a sandbox is ready when the API is served inside it, and not before", "[inside]") {
  start();
  held = true;
  auto asked = send(worker, wanted());
  run();
  REQUIRE(calls.size() == 1); // the kernel makes it
  calls.front()();
  calls.pop_front();
  run();
  CHECK_FALSE(asked.answered());
  CHECK(open.empty());
  release();
  auto made = asked.answer();
  REQUIRE((made && *made));
  auto id = (*made)->id;
  CHECK(open == std::vector<principal>{{alice, id}});

  auto ending = send(worker, terminate_sandbox{alice, id});
  run();
  CHECK(open.empty()); // first of all
  CHECK(left_at_close == 1);
  release();
  CHECK(ending.succeeded());
  CHECK(nothing_left());
}

TEST_CASE_METHOD(edge, "a sandbox that cannot reach the API is not made", "[inside]") {
  start();
  SECTION("because nothing can listen in it") { driver.fail_listen = true; }
  SECTION("because the edge cannot serve it") { refuses = true; }
  CHECK_FALSE(ask(worker, wanted()));
  CHECK(open.empty());
  CHECK(nothing_left());
}

TEST_CASE_METHOD(edge, "a sandbox that ends while its door is made keeps none", "[inside]") {
  start();
  held = true;
  auto asked = send(worker, wanted("alice", 1));
  run();
  calls.front()();
  calls.pop_front();
  run();
  advance(1s); // its lease runs out
  release();
  REQUIRE(asked.answered());
  CHECK_FALSE(asked.succeeded());
  CHECK(open.empty());
  CHECK(nothing_left());
}

TEST_CASE_METHOD(edge, "a sandbox that was taken over reaches the API again", "[inside]") {
  sandbox_record record;
  record.info.id = make_sandbox_id();
  record.info.tenant = alice;
  record.info.flavor = "basic";
  record.info.state = sandbox_state::ready;
  record.info.ttl_seconds = 60;
  record.info.expires_at = wall() + 60'000;
  records.stored[record.info.id] = record;
  driver.present.insert(record.info.id);
  SECTION("as soon as it is known") {
    start();
    CHECK(open == std::vector<principal>{{alice, record.info.id}});
  }
  SECTION("or lives without, when its port is taken") {
    driver.fail_listen = true;
    start();
    CHECK(open.empty());
  }
  CHECK(ask(worker, get_sandbox{alice, record.info.id}));
}

TEST_CASE_METHOD(edge, "a warm sandbox reaches the API once it has an owner", "[inside]") {
  env.settings.flavors["basic"].warm = 1;
  start();
  for (int i = 0; i < 10 && driver.present.empty(); ++i)
    advance(1s);
  REQUIRE(driver.present.size() == 1);
  auto warm = *driver.present.begin();
  CHECK(open.empty());
  auto claimed = ask(worker, wanted());
  REQUIRE(claimed);
  CHECK(claimed->id == warm);
  CHECK(open == std::vector<principal>{{alice, warm}});
}

TEST_CASE_METHOD(edge, "a crash of the sandbox's actor closes its door", "[inside]") {
  start();
  auto made = ask(worker, wanted("alice", 60));
  REQUIRE(open.size() == 1);
  broken_clock = true; // when its lease is looked at
  advance(60s);
  CHECK(open.empty());
}
