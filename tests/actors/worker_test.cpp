#include "machine.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::tests;
using namespace std::chrono_literals;

namespace {

const tenant_id alice{"alice"};
const tenant_id bob{"bob"};

} // namespace

TEST_CASE_METHOD(machine, "a created sandbox is ready, stored, and its owner's alone", "[worker]") {
  start();
  auto made = ask(worker, wanted());
  REQUIRE(made);
  CHECK(made->state == sandbox_state::ready);
  CHECK(is_sandbox_id(made->id.value));
  CHECK(driver.present.count(made->id) == 1);
  REQUIRE(records.stored.count(made->id) == 1);
  CHECK(records.stored[made->id].info.state == sandbox_state::ready);
  CHECK(data.find(made->id) != nullptr);

  CHECK(ask(worker, get_sandbox{alice, made->id})->id == made->id);
  CHECK(code_of(ask(worker, get_sandbox{bob, made->id}).error()) == errc::sandbox_not_found);
  CHECK(code_of(ask(worker, open_sandbox{bob, made->id}).error()) == errc::sandbox_not_found);
  CHECK(code_of(ask(worker, terminate_sandbox{bob, made->id}).error()) == errc::sandbox_not_found);
  CHECK(code_of(ask(worker, refresh_sandbox{bob, made->id, 5}).error()) == errc::sandbox_not_found);
  CHECK(ask(worker, list_sandboxes{alice})->size() == 1);
  CHECK(ask(worker, list_sandboxes{bob})->empty());
}

TEST_CASE_METHOD(machine, "limits and lifetime are completed and clamped", "[worker]") {
  start();
  auto request = wanted("alice", 0);
  request.limits.memory_bytes = 1ull << 60;
  request.limits.pids = 7;
  auto made = ask(worker, request);
  REQUIRE(made);
  CHECK(made->limits.memory_bytes == env.settings.max_limits.memory_bytes);
  CHECK(made->limits.pids == 7);
  CHECK(made->limits.disk_bytes == env.settings.default_limits.disk_bytes);
  CHECK(made->ttl_seconds == 3 * 3600);
  CHECK(made->expires_at == made->created_at + 3ll * 3'600'000);
  CHECK(driver.last.limits.pids == 7);
}

TEST_CASE_METHOD(machine, "a full machine refuses and takes again when one is gone", "[worker]") {
  env.settings.max_sandboxes = 2;
  env.settings.create_wait = 0ms;
  start();
  auto first = ask(worker, wanted());
  REQUIRE(ask(worker, wanted()));
  auto refused = ask(worker, wanted());
  CHECK(code_of(refused.error()) == errc::capacity_exhausted);
  auto resources = ask(worker, get_resources{});
  CHECK_FALSE(resources->can_create);
  CHECK_FALSE(resources->reject_reason.empty());
  REQUIRE(ask(worker, terminate_sandbox{alice, first->id}));
  CHECK(ask(worker, wanted()));
}

TEST_CASE_METHOD(machine, "only so many creations run at a time and only so many wait", "[worker]") {
  env.settings.create_concurrency = 2;
  env.settings.create_queue = 3;
  start();
  held = true;
  std::vector<question<sandbox_info>> asked;
  for (int i = 0; i < 8; ++i)
    asked.push_back(send(worker, wanted()));
  run();
  CHECK(calls.size() == 2);
  int refused = 0;
  for (auto& each : asked)
    if (each.answered()) {
      CHECK(code_of(each.answer()->error()) == errc::capacity_exhausted);
      ++refused;
    }
  CHECK(refused == 3);
  release();
  int made = 0;
  for (auto& each : asked) {
    REQUIRE(each.answered());
    made += each.succeeded() ? 1 : 0;
  }
  CHECK(made == 5);
  CHECK(driver.present.size() == 5);
}

TEST_CASE_METHOD(machine, "a creation that fails says why and leaves nothing", "[worker]") {
  start();
  SECTION("in the kernel") {
    driver.fail_create = true;
    auto refused = ask(worker, wanted());
    CHECK(code_of(refused.error()) == errc::sandbox_failed);
    CHECK(text_of(refused.error()) == "no luck");
  }
  SECTION("in the store") {
    records.full = true;
    CHECK(code_of(ask(worker, wanted()).error()) == errc::internal);
    CHECK(driver.creations == 0);
  }
  CHECK(nothing_left());
  CHECK(ask(worker, get_health{})->sandboxes == 0);
}

TEST_CASE_METHOD(machine, "terminate is idempotent while the tombstone lasts", "[worker]") {
  start();
  auto made = ask(worker, wanted());
  REQUIRE(ask(worker, terminate_sandbox{alice, made->id}));
  CHECK(nothing_left());
  CHECK(data.find(made->id) == nullptr);
  CHECK(ask(worker, terminate_sandbox{alice, made->id}));
  CHECK(code_of(ask(worker, terminate_sandbox{bob, made->id}).error()) == errc::sandbox_not_found);
  CHECK(code_of(ask(worker, get_sandbox{alice, made->id}).error()) == errc::sandbox_not_found);
}

TEST_CASE_METHOD(machine, "a sandbox actor that crashes is cleaned up by its worker", "[worker]") {
  start();
  auto made = ask(worker, wanted());
  auto other = ask(worker, wanted());
  driver.failing_destroys = 2;
  broken_clock = true; // a bug in the sandbox actor: the next look at the clock throws
  CHECK(code_of(ask(worker, refresh_sandbox{alice, made->id, 9}).error()) == errc::internal);
  for (int i = 0; i < 5; ++i)
    advance(1s);
  CHECK(driver.present == std::set<sandbox_id>{other->id});
  CHECK(records.stored.count(made->id) == 0);
  CHECK(data.find(made->id) == nullptr);
  CHECK(code_of(ask(worker, get_sandbox{alice, made->id}).error()) == errc::sandbox_not_found);
  CHECK(ask(worker, get_sandbox{alice, other->id}));
}

TEST_CASE_METHOD(machine, "a draining worker takes nothing new and waits for what is being made",
                 "[worker]") {
  start();
  held = true;
  auto creating = send(worker, wanted());
  run();
  auto drained = send(worker, drain_worker{false});
  run();
  CHECK_FALSE(drained.answered());
  CHECK(code_of(ask(worker, wanted()).error()) == errc::shutting_down);
  release();
  held = false;
  advance(1s);
  CHECK(creating.succeeded());
  CHECK(drained.answered());
  CHECK(driver.present.size() == 1);
}

TEST_CASE_METHOD(machine, "a worker that is told to end its sandboxes answers when the last is gone",
                 "[worker]") {
  start();
  for (int i = 0; i < 5; ++i)
    REQUIRE(ask(worker, wanted()));
  CHECK(ask(worker, drain_worker{true}));
  CHECK(nothing_left());
}

TEST_CASE_METHOD(machine, "resources count sandboxes by priority", "[worker]") {
  start();
  for (std::uint8_t priority : {1, 1, 3}) {
    auto request = wanted();
    request.priority = priority;
    REQUIRE(ask(worker, request));
  }
  auto resources = ask(worker, get_resources{});
  CHECK(resources->by_priority == std::vector<std::uint32_t>{0, 2, 0, 1});
  CHECK(resources->can_create);
  CHECK(resources->memory_total_bytes > 0);
}

TEST_CASE_METHOD(machine, "statistics come for the tenant's own sandboxes only", "[worker]") {
  start();
  auto mine = ask(worker, wanted("alice"));
  auto theirs = ask(worker, wanted("bob"));
  auto numbers_of = [&](const tenant_id& who, std::vector<sandbox_id> ids) {
    return *ask(worker, get_stats{who, ids});
  };
  CHECK(numbers_of(alice, {}).size() == 1);
  CHECK(numbers_of(alice, {mine->id, theirs->id}).size() == 1);
  CHECK(numbers_of(alice, {theirs->id}).empty());
  advance(1s);
  auto second = numbers_of(alice, {mine->id});
  REQUIRE(second.size() == 1);
  CHECK(second[0].cpu_cores_used > 0);
  CHECK(second[0].memory_limit_bytes == mine->limits.memory_bytes);
}

TEST_CASE_METHOD(machine, "the machine's history gets a point a minute", "[worker]") {
  start();
  for (int i = 0; i < 91; ++i)
    advance(2s);
  CHECK(records.history.size() == 4);
  CHECK(ask(worker, get_timeseries{12})->size() == 4);
}

TEST_CASE_METHOD(machine, "a port is probed inside the sandbox", "[worker]") {
  start();
  auto made = ask(worker, wanted());
  CHECK(*ask(worker, probe_port{alice, made->id, 3000}));
  CHECK_FALSE(*ask(worker, probe_port{alice, made->id, 3001}));
}

TEST_CASE_METHOD(machine, "a tenant has so many sandboxes and so much memory, whatever others have",
                 "[worker]") {
  tenant_limits few;
  few.sandboxes = 3;
  few.memory_bytes = 3ull << 30;
  env.limits->set(alice, few);
  env.settings.flavors["basic"].warm = GENERATE(0u, 4u);
  start();
  for (int i = 0; i < 100 && driver.present.size() < env.settings.flavors["basic"].warm; ++i)
    advance(100ms);
  std::vector<question<sandbox_info>> burst;
  for (int i = 0; i < 8; ++i)
    burst.push_back(send(worker, wanted("alice")));
  run();
  int made = 0;
  for (const auto& each : burst) {
    auto answer = each.answer();
    REQUIRE(answer);
    if (*answer)
      ++made;
    else
      CHECK(code_of(answer->error()) == errc::rate_limited);
  }
  CHECK(made == 3);
  CHECK(ask(worker, wanted("bob")));
  auto mine = ask(worker, list_sandboxes{alice});
  CHECK(ask(worker, terminate_sandbox{alice, mine->front().id}));
  auto large = wanted("alice");
  large.limits.memory_bytes = 2ull << 30;
  CHECK(code_of(ask(worker, large).error()) == errc::rate_limited);
  CHECK(ask(worker, wanted("alice")));
}
