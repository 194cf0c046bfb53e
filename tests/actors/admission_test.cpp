// Who is made now, who waits, and for how long.

#include "actors/create_request.hpp"
#include "machine.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::tests;
using namespace std::chrono_literals;

namespace {

const tenant_id alice{"alice"};

struct crowded : machine {
  create_sandbox with_priority(std::uint8_t priority, std::uint64_t memory_gib = 1) {
    auto request = wanted();
    request.priority = priority;
    request.limits.memory_bytes = memory_gib << 30;
    return request;
  }
  sandbox_id made(const create_sandbox& request) {
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
  void end(const sandbox_id& id) { REQUIRE(ask(worker, terminate_sandbox{alice, id})); }
  room_report report() { return ask(worker, get_resources{})->room; }
  bool counted(const std::string& line) { return numbers.expose().find(line + "\n") != std::string::npos; }
};

void check_refused(const question<sandbox_info>& asked, const std::string& text) {
  REQUIRE(asked.answered());
  auto why = asked.answer()->error();
  CHECK(code_of(why) == errc::capacity_exhausted);
  CHECK(retry_after_of(why) > 0);
  CHECK(text_of(why) == text);
}

} // namespace

TEST_CASE_METHOD(crowded, "a creation waits for room, and gets it when a sandbox is gone", "[admission]") {
  env.settings.max_sandboxes = 1;
  start();
  auto first = made(wanted());
  auto waits = send(worker, wanted());
  run();
  CHECK_FALSE(waits.answered());
  CHECK(report().waiting == 1);
  CHECK(driver.creations == 1);
  advance(9s);
  CHECK(report().longest_wait_ms == 9000);
  end(first);
  REQUIRE(waits.answered());
  auto info = *waits.answer();
  REQUIRE(info);
  CHECK(info->created_at == wall()); // its life begins when it is made
  CHECK(info->expires_at == wall() + 600'000);
  CHECK(report().waiting == 0);
}

TEST_CASE_METHOD(crowded, "a creation whose time is up is refused, and says when to come back",
                 "[admission]") {
  env.settings.max_sandboxes = 1;
  env.settings.create_wait = 4s;
  start();
  auto first = made(wanted());
  auto waits = send(worker, wanted());
  run();
  advance(3999ms);
  CHECK_FALSE(waits.answered());
  advance(1ms);
  check_refused(waits, "All sandboxes of this machine are in use");
  CHECK(counted("sandy_admission_refusals_total{reason=\"max_sandboxes\"} 1"));
  end(first);
  CHECK(nothing_left());
  CHECK(report().waiting == 0);
}

TEST_CASE_METHOD(crowded, "a creation that waits for its turn is refused in time, too", "[admission]") {
  env.settings.create_concurrency = 1;
  env.settings.create_wait = 4s;
  start();
  held = true;
  auto running = send(worker, wanted());
  auto waits = send(worker, wanted());
  run();
  CHECK(report().making == 1);
  advance(4s);
  check_refused(waits, "Too many sandboxes are being created");
  CHECK(counted("sandy_admission_refusals_total{reason=\"no_turn\"} 1"));
  release();
  CHECK(running.succeeded());
  CHECK(report().making == 0);
  CHECK(driver.creations == 1);
}

TEST_CASE_METHOD(crowded, "who waits for room is served by priority, then by age", "[admission]") {
  env.settings.max_sandboxes = 1;
  start();
  auto last = made(wanted());
  std::vector<question<sandbox_info>> line;
  for (std::uint8_t priority : {2, 3, 1, 2, 0})
    line.push_back(send(worker, with_priority(priority)));
  run();
  for (std::size_t next : {4u, 2u, 0u, 3u, 1u}) {
    CHECK_FALSE(line[next].answered());
    end(last);
    last = id_of(line[next]);
  }
}

TEST_CASE_METHOD(crowded, "who waits for a turn is served by priority, then by age", "[admission]") {
  env.settings.create_concurrency = 1;
  start();
  held = true;
  auto running = send(worker, with_priority(2));
  std::vector<question<sandbox_info>> line;
  for (std::uint8_t priority : {2, 3, 0, 2})
    line.push_back(send(worker, with_priority(priority)));
  run();
  held = false;
  release();
  CHECK(running.succeeded());
  std::vector<sandbox_id> order;
  for (std::size_t next : {2u, 0u, 3u, 1u}) {
    order.push_back(id_of(line[next]));
  }
  REQUIRE(driver.history.size() == 5);
  for (std::size_t i = 0; i < order.size(); ++i)
    CHECK(driver.history[i + 1] == "create " + order[i].value);
}

TEST_CASE_METHOD(crowded, "nobody overtakes a more important one; among equals a small one may go ahead",
                 "[admission]") {
  env.settings.room.memory_overcommit = 1000; // 24 GiB
  start();
  made(with_priority(2, 8));
  auto second = made(with_priority(2, 8));
  made(with_priority(2, 4));
  auto large = send(worker, with_priority(1, 8));
  auto small = send(worker, with_priority(1, 2));
  auto lower = send(worker, with_priority(2, 2));
  run();
  CHECK_FALSE(large.answered());
  CHECK(small.succeeded());
  CHECK_FALSE(lower.answered());
  end(second);
  CHECK(large.succeeded());
  CHECK(lower.succeeded());
}

TEST_CASE_METHOD(crowded, "only so many wait; beyond, the least important is refused at once",
                 "[admission]") {
  env.settings.max_sandboxes = 1;
  env.settings.create_queue = 2;
  start();
  auto first = made(wanted());
  auto normal = send(worker, with_priority(2));
  auto low = send(worker, with_priority(3));
  run();
  auto lowest = send(worker, with_priority(3));
  run();
  check_refused(lowest, "Too many sandboxes wait to be created");
  auto high = send(worker, with_priority(1));
  run();
  check_refused(low, "Too many sandboxes wait to be created");
  CHECK_FALSE(high.answered());
  CHECK_FALSE(normal.answered());
  CHECK(counted("sandy_admission_refusals_total{reason=\"queue_full\"} 2"));
  CHECK(counted("sandy_creations_waiting 2"));
}

TEST_CASE_METHOD(crowded, "without a wait or a line everybody is refused at once", "[admission]") {
  env.settings.max_sandboxes = 1;
  SECTION("no wait") { env.settings.create_wait = 0ms; }
  SECTION("no line") { env.settings.create_queue = 0; }
  start();
  made(wanted());
  auto next = send(worker, wanted());
  run();
  check_refused(next, "All sandboxes of this machine are in use");
}

TEST_CASE_METHOD(crowded, "a caller that hangs up leaves the line", "[admission]") {
  env.settings.max_sandboxes = 1;
  env.settings.create_wait = 1h;
  start();
  auto first = made(wanted());
  auto gone = system.spawn<coro::actor<create_request_state, create_request_actor>>(worker, 60s);
  send(gone, wanted());
  run();
  auto next = send(worker, wanted());
  run();
  CHECK(report().waiting == 2);
  kill(gone, caf::exit_reason::user_shutdown);
  CHECK(report().waiting == 1);
  end(first);
  CHECK(next.succeeded());
  CHECK(driver.creations == 2);
}

TEST_CASE_METHOD(crowded, "a child that waits is refused when its parent ends", "[admission]") {
  env.settings.max_sandboxes = 2;
  start();
  auto parent = made(wanted());
  made(wanted());
  auto request = wanted();
  request.parent = parent;
  auto child = send(worker, request);
  run();
  CHECK_FALSE(child.answered());
  end(parent);
  REQUIRE(child.answered());
  CHECK(code_of(child.answer()->error()) == errc::sandbox_not_found);
  CHECK(driver.creations == 2);
}

TEST_CASE_METHOD(crowded, "who waits is told when the server shuts down", "[admission]") {
  env.settings.max_sandboxes = 1;
  env.settings.create_wait = 1h;
  start();
  made(wanted());
  auto waits = send(worker, wanted());
  run();
  auto drained = send(worker, drain_worker{false});
  run();
  advance(1s);
  CHECK(drained.answered());
  REQUIRE(waits.answered());
  CHECK(code_of(waits.answer()->error()) == errc::shutting_down);
}

TEST_CASE_METHOD(crowded, "what no empty machine could promise is refused at once", "[admission]") {
  env.settings.room.memory_overcommit = 200; // 4.8 GiB
  env.settings.create_wait = 1h;
  start();
  auto asked = send(worker, with_priority(0, 5));
  run();
  check_refused(asked, "The memory of this machine is promised to other sandboxes");
}

TEST_CASE_METHOD(crowded, "a machine that is short of something creates nothing until it has it again",
                 "[admission]") {
  host.pids_used = host.pids_total - 1;
  start();
  auto resources = ask(worker, get_resources{});
  CHECK_FALSE(resources->can_create);
  CHECK(resources->reject_reason == "This machine is short of processes");
  auto waits = send(worker, wanted());
  run();
  CHECK_FALSE(waits.answered());
  host.pids_used = 300;
  advance(2s);
  CHECK(waits.succeeded());
  CHECK(ask(worker, get_resources{})->can_create);
}

TEST_CASE_METHOD(crowded, "resources say what is promised, to creations on their way, too", "[admission]") {
  start();
  made(with_priority(2, 3));
  held = true;
  send(worker, with_priority(2, 4));
  run();
  auto shares = report().shares;
  REQUIRE(shares.size() == 5);
  CHECK(shares[0].promised == 2);
  CHECK(shares[1].promised == 7ull << 30);
  CHECK(shares[1].total == 24ull << 30);
  CHECK(shares[1].left == 20ull << 30);
  CHECK(shares[3].promised == 2 * 512);
  CHECK(counted("sandy_promised_pids 1024"));
}

TEST_CASE_METHOD(crowded, "of a hundred creations at once each is made or refused, and none hangs",
                 "[admission]") {
  env.settings.max_sandboxes = 10;
  env.settings.create_queue = 20;
  start();
  held = true;
  std::vector<question<sandbox_info>> all;
  for (int i = 0; i < 100; ++i)
    all.push_back(send(worker, with_priority(static_cast<std::uint8_t>(i % 4))));
  run();
  held = false;
  release();
  advance(10s);
  int made = 0;
  for (const auto& each : all) {
    REQUIRE(each.answered());
    if (each.succeeded())
      ++made;
    else
      CHECK(retry_after_of(each.answer()->error()) > 0);
  }
  CHECK(made == 10);
  CHECK(driver.present.size() == 10);
  CHECK(report().waiting == 0);
  CHECK(report().making == 0);
}
