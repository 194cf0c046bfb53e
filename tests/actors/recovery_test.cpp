#include "machine.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::tests;
using namespace std::chrono_literals;

namespace {

const tenant_id alice{"alice"};

sandbox_record record_of(const machine& on, sandbox_state state, unix_millis left_ms, std::uint32_t slot) {
  sandbox_record record;
  record.info.id = make_sandbox_id();
  record.info.tenant = alice;
  record.info.flavor = "basic";
  record.info.state = state;
  record.info.ttl_seconds = 60;
  record.info.expires_at = on.wall() + left_ms;
  record.uid_slot = slot;
  return record;
}

} // namespace

TEST_CASE_METHOD(machine, "after a crash running sandboxes are taken over and the rest is removed",
                 "[recovery]") {
  auto running = record_of(*this, sandbox_state::ready, 30'000, 0);
  auto half_made = record_of(*this, sandbox_state::creating, 30'000, 1);
  auto expired = record_of(*this, sandbox_state::ready, -1, 2);
  auto died = record_of(*this, sandbox_state::ready, 30'000, 3);
  for (const auto& each : {running, half_made, expired, died}) {
    records.stored[each.info.id] = each;
    driver.present.insert(each.info.id);
  }
  driver.dead.insert(died.info.id);
  auto unknown = make_sandbox_id();
  driver.present.insert(unknown);

  start();
  CHECK(driver.present == std::set<sandbox_id>{running.info.id});
  CHECK(records.stored.size() == 1);
  auto found = ask(worker, get_sandbox{alice, running.info.id});
  REQUIRE(found);
  CHECK(found->state == sandbox_state::ready);
  CHECK(data.find(running.info.id) != nullptr);
  CHECK(ask(worker, terminate_sandbox{alice, expired.info.id})); // its tombstone answers
  CHECK(numbers.expose().find("sandy_") != std::string::npos);

  SECTION("its lease goes on") {
    advance(30s);
    CHECK(nothing_left());
  }
  SECTION("its uid slot is not given away") {
    auto made = ask(worker, wanted());
    REQUIRE(made);
    CHECK(driver.last.uid_slot != running.uid_slot);
  }
}

TEST_CASE_METHOD(machine, "health is not answered before recovery is over", "[recovery]") {
  records.stored.emplace(make_sandbox_id(), record_of(*this, sandbox_state::ready, 30'000, 0));
  held = true;
  start();
  auto asked = send(worker, get_health{});
  run();
  CHECK_FALSE(asked.answered());
  held = false;
  release();
  CHECK(asked.succeeded());
}

TEST_CASE_METHOD(machine, "the janitor removes what nobody knows, and nothing else", "[recovery]") {
  start();
  auto made = ask(worker, wanted());
  auto stray = make_sandbox_id();
  driver.present.insert(stray);
  advance(60s);
  CHECK(driver.present == std::set<sandbox_id>{made->id});
}

TEST_CASE_METHOD(machine, "an agent that a server left running is ended, also when it was never known to run",
                 "[recovery]") {
  auto box = record_of(*this, sandbox_state::ready, 600'000, 0);
  records.stored[box.info.id] = box;
  driver.present.insert(box.info.id);
  agent_run_record running, over;
  running.sandbox = over.sandbox = box.info.id;
  running.info.id = make_sandbox_id().value;
  running.info.status = run_status::running;
  over.info.id = make_sandbox_id().value;
  over.info.status = run_status::succeeded;
  records.worked = {running, over};
  auto group_of = [&](const agent_run_record& run) { return box.info.id.value + "/" + run.info.id; };
  driver.groups = {group_of(running), group_of(over)};
  auto paused = GENERATE(false, true);
  driver.fail_end_group = paused;

  start();
  if (paused) {
    advance(5s);
    CHECK(driver.groups_ended > 1);
    CHECK(records.worked[0].info.status == run_status::running);
    driver.fail_end_group = false;
    advance(2s);
  }
  CHECK(driver.groups == std::set<std::string>{group_of(over)}); // what that run left is its sandbox's
  CHECK(records.worked[0].info.status == run_status::cancelled);
  CHECK(records.worked[0].info.exit_code == 130);
  CHECK(records.worked[0].info.error.find("server ended") != std::string::npos);
  CHECK(records.worked[1].info.status == run_status::succeeded);
}
