// One container's life, on a clock of the test's.

#include "actors/container.hpp"
#include "actors/container_program.hpp"
#include "coro/timer.hpp"
#include "tests/actors/machine.hpp"
#include "tests/actors/scripted_container.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::tests;
using namespace std::chrono_literals;

namespace {

struct contained : machine {
  contained() {
    env.check_health = [this](const sandbox_id&, std::uint16_t) { return check(); };
    record.info.id = make_container_id();
    record.info.sandbox = make_sandbox_id();
    record.info.port = 8080;
    record.info.restart = restart_policy::on_failure;
    record.program.arguments = {"serve"};
    record.program.user = "app";
    record.program.max_restarts = 3;
  }
  ~contained() { end_all(); }

  coro::task<void> check() {
    ++checks;
    if (health == errc::none)
      co_return caf::unit;
    if (health == errc::deadline_exceeded) // no answer at all
      co_await coro::sleep_for(1h);
    co_return fail(health, "nothing listens");
  }
  void spawn(bool found = false) {
    actor = system.spawn<coro::actor<container_state, container_actor>>(
        &env, record, std::make_shared<scripted_box>(told), "/srv", found);
    run();
  }
  void end_all() {
    if (actor)
      kill(actor);
    actor = nullptr;
    machine::end_all();
  }
  /// Starts it; the answer may need time.
  void begin() {
    spawn();
    answer.emplace(send(actor, start_container{}));
    run();
  }
  void begin_healthy() {
    begin();
    REQUIRE(answer->succeeded());
  }
  void exit_with(int code) {
    told.end(static_cast<std::uint32_t>(told.started.size()), exit_of(code));
    run();
  }
  void pass(std::chrono::milliseconds time) {
    for (auto step = 50ms; time > 0ms; time -= step)
      advance(step);
  }
  container_info now() { return *ask(actor, describe_container{}); }
  container_record stored() { return records.contained.at(record.info.id); }

  container_script told;
  errc health = errc::none;
  int checks = 0;
  container_record record;
  container_actor actor;
  std::optional<question<container_info>> answer;
};

} // namespace

TEST_CASE_METHOD(contained, "a container runs its program and is there when it is healthy", "[container]") {
  health = errc::upstream_error;
  begin();
  REQUIRE(told.started.size() == 1);
  CHECK(told.started[0].argv == std::vector<std::string>{"serve"});
  CHECK(told.started[0].user == "app");
  CHECK(told.started[0].cwd == "/srv");
  pass(2s);
  CHECK_FALSE(answer->answered());
  CHECK(now().health == container_health::starting);
  health = errc::none;
  pass(200ms);
  REQUIRE(answer->succeeded());
  auto info = **answer->answer();
  CHECK(info.status == container_status::running);
  CHECK(info.health == container_health::healthy);
  CHECK(info.process_id == 1);
  CHECK(stored().info.status == container_status::running);
}

TEST_CASE_METHOD(contained, "one that is not healthy in time is given up, with its last words",
                 "[container]") {
  health = GENERATE(errc::upstream_error, errc::deadline_exceeded);
  begin();
  pass(29s);
  CHECK_FALSE(answer->answered());
  pass(2s);
  REQUIRE(answer->answered());
  auto why = answer->answer()->error();
  CHECK(code_of(why) == errc::deadline_exceeded);
  CHECK(text_of(why).find("no such model") != std::string::npos);
}

TEST_CASE_METHOD(contained, "one that ends before it was healthy is told at once, and not started again",
                 "[container]") {
  health = errc::upstream_error;
  begin();
  pass(500ms);
  exit_with(3);
  pass(100ms);
  REQUIRE(answer->answered());
  auto why = answer->answer()->error();
  CHECK(code_of(why) == errc::upstream_error);
  CHECK(
      text_of(why) ==
      "The container's program ended with exit code 3 before it was healthy. Its last words: no such model");
  pass(10s);
  CHECK(told.started.size() == 1);
}

TEST_CASE_METHOD(contained, "a program that cannot be started says why", "[container]") {
  told.cannot_start = true;
  begin();
  REQUIRE(answer->answered());
  CHECK(code_of(answer->answer()->error()) == errc::upstream_error);
  CHECK(text_of(answer->answer()->error()).find("does not exist: serve") != std::string::npos);
}

TEST_CASE_METHOD(contained,
                 "a program that fails is started again, ever more slowly, a bounded number of times",
                 "[container]") {
  begin_healthy();
  auto pause = 1s;
  for (std::size_t starts = 1; starts <= 3; ++starts, pause *= 2) {
    exit_with(1);
    CHECK(now().status == container_status::restarting);
    CHECK(now().health == container_health::none);
    pass(pause - 100ms);
    CHECK(told.started.size() == starts);
    pass(200ms);
    CHECK(told.started.size() == starts + 1);
    CHECK(now().status == container_status::running);
  }
  exit_with(1);
  pass(5min);
  CHECK(told.started.size() == 4);
  auto info = now();
  CHECK(info.status == container_status::exited);
  CHECK(info.exit_code == 1);
  CHECK(info.restarts == 3);
  CHECK(stored().info.status == container_status::exited);
}

TEST_CASE_METHOD(contained, "one that ran well for a while is started again as if for the first time",
                 "[container]") {
  begin_healthy();
  for (int i = 0; i < 6; ++i) {
    pass(11s);
    exit_with(1);
    pass(1200ms);
    CHECK(now().status == container_status::running);
  }
  CHECK(now().restarts == 6);
}

TEST_CASE_METHOD(contained, "the policy says what is started again", "[container]") {
  record.info.restart = GENERATE(restart_policy::never, restart_policy::on_failure, restart_policy::always);
  auto code = GENERATE(0, 1);
  begin_healthy();
  exit_with(code);
  pass(1500ms);
  auto again = record.info.restart == restart_policy::always ||
               (record.info.restart == restart_policy::on_failure && code != 0);
  CHECK(told.started.size() == (again ? 2u : 1u));
  CHECK(now().status == (again ? container_status::running : container_status::exited));
}

TEST_CASE_METHOD(contained, "three bad answers in a row make it unhealthy, and a good one healthy again",
                 "[container]") {
  begin_healthy();
  health = GENERATE(errc::upstream_error, errc::deadline_exceeded);
  pass(25s);
  CHECK(now().health == container_health::healthy);
  pass(25s);
  CHECK(now().health == container_health::unhealthy);
  CHECK_FALSE(now().error.empty());
  CHECK(now().status == container_status::running);
  health = errc::none;
  pass(16s);
  CHECK(now().health == container_health::healthy);
  CHECK(now().error.empty());
}

TEST_CASE_METHOD(contained, "one that stands still with its sandbox is as it was", "[container]") {
  begin_healthy();
  health = errc::sandbox_paused;
  pass(5min);
  CHECK(now().health == container_health::healthy);
}

TEST_CASE_METHOD(contained, "a stop asks first and kills after the grace", "[container]") {
  begin_healthy();
  told.ignores_term = GENERATE(false, true);
  auto stopped = send(actor, end_container{10});
  run();
  pass(9s);
  CHECK(stopped.answered() == !told.ignores_term);
  pass(2s);
  REQUIRE(stopped.succeeded());
  CHECK(told.signals == (told.ignores_term ? std::vector{SIGTERM, SIGKILL} : std::vector{SIGTERM}));
  CHECK((*stopped.answer())->status == container_status::exited);
  CHECK((*stopped.answer())->error.empty());
  pass(2min);
  CHECK(told.started.size() == 1);
  CHECK(ask(actor, end_container{10})); // again
  CHECK(stored().info.status == container_status::exited);
}

TEST_CASE_METHOD(contained, "one that waits to be started again is stopped at once", "[container]") {
  begin_healthy();
  exit_with(1);
  auto stopped = ask(actor, end_container{10});
  REQUIRE(stopped);
  CHECK(stopped->status == container_status::exited);
  pass(2min);
  CHECK(told.started.size() == 1);
}

TEST_CASE_METHOD(contained, "its process 1 may end, and all with it", "[container]") {
  begin_healthy();
  told.end(1, fail(errc::sandbox_ended, "it is gone"));
  run();
  CHECK(now().status == container_status::exited);
  CHECK(now().health == container_health::none);
  pass(1min);
  CHECK(told.started.size() == 1);
}

TEST_CASE_METHOD(contained, "one that is found after a restart is followed on", "[container]") {
  record.info.status = container_status::running;
  record.info.process_id = 7;
  spawn(true);
  REQUIRE(ask(actor, start_container{}));
  CHECK(told.started.empty());
  pass(200ms);
  CHECK(now().health == container_health::healthy);
  told.end(7, exit_of(1));
  run();
  pass(1500ms);
  CHECK(told.started.size() == 1);
  CHECK(now().restarts == 1);
}

TEST_CASE_METHOD(contained, "one that is stopped at the moment of its start is ended when it runs",
                 "[container]") {
  auto first_time = GENERATE(true, false);
  if (first_time) {
    told.hold_start = true;
    begin();
  } else {
    begin_healthy();
    told.hold_start = true;
    exit_with(1);
    pass(1100ms);
  }
  const auto starts = told.started.size();
  REQUIRE(told.go_on);
  auto stopped = send(actor, end_container{10});
  run();
  CHECK_FALSE(stopped.answered());
  told.cannot_start = GENERATE(false, true);
  told.go_on();
  run();
  pass(100ms);
  REQUIRE(stopped.succeeded());
  CHECK((*stopped.answer())->status == container_status::exited);
  CHECK(told.signals == (told.cannot_start ? std::vector<int>{} : std::vector{SIGKILL}));
  pass(2min);
  CHECK(now().status == container_status::exited);
  CHECK(told.started.size() == starts);
  CHECK(answer->answered());
}

TEST_CASE_METHOD(contained, "what a program left running ends before it is started again, and with a stop",
                 "[container]") {
  begin_healthy();
  exit_with(1);
  CHECK(told.swept == std::vector<std::uint32_t>{1});
  pass(1100ms);
  REQUIRE(told.started.size() == 2);
  REQUIRE(ask(actor, end_container{10}));
  CHECK(told.signals == std::vector{SIGTERM});
  CHECK(told.trees == 1); // its children are asked as well
  CHECK(told.swept == std::vector<std::uint32_t>{1, 2});
}

TEST_CASE_METHOD(contained, "a guest that cannot say whether the program runs is asked again",
                 "[container]") {
  begin_healthy();
  auto why = GENERATE(errc::limit_reached, errc::capacity_exhausted, errc::sandbox_failed);
  told.end(1, fail(why, "busy"));
  run();
  CHECK(now().status == container_status::running);
  CHECK(now().health == container_health::healthy);
  pass(1100ms);
  CHECK(now().status == container_status::running);
  exit_with(1);
  pass(1s); // it is asked again
  CHECK(now().status == container_status::restarting);
  CHECK(now().exit_code == 1);
}

TEST_CASE_METHOD(contained, "one that was started again is asked how it is at once", "[container]") {
  begin_healthy();
  pass(11s);
  exit_with(1);
  health = errc::upstream_error;
  pass(1100ms);
  REQUIRE(told.started.size() == 2);
  CHECK(now().health == container_health::starting);
  health = errc::none;
  pass(200ms);
  CHECK(now().health == container_health::healthy);
}

TEST_CASE_METHOD(contained, "a store that is full starts no second program beside the first", "[container]") {
  begin_healthy();
  exit_with(1);
  records.full = true;
  pass(30s);
  CHECK(told.started.size() == 2);
  CHECK(now().status == container_status::running);
  CHECK(stored().info.process_id == 1);
  records.full = false;
  pass(11s);
  CHECK(stored().info.process_id == 2);
}

TEST_CASE_METHOD(contained, "one that cannot be recorded is ended", "[container]") {
  records.full = true;
  begin();
  REQUIRE(answer->answered());
  CHECK_FALSE(answer->succeeded());
  CHECK(told.signals == std::vector{SIGKILL});
  CHECK(now().status == container_status::exited);
}

TEST_CASE_METHOD(contained, "its guest lives as long as somebody looks after it", "[container]") {
  env.settings.guest_lease = 30s;
  begin_healthy();
  pass(1min);
  CHECK(told.renewals >= 5);
}

TEST_CASE_METHOD(contained, "one that is stopped while it is started again does not run on", "[container]") {
  begin_healthy();
  exit_with(1);
  told.start_takes = 2s;
  pass(1500ms);
  REQUIRE(told.started.size() == 2);
  auto stopped = send(actor, end_container{10});
  run();
  pass(3s);
  REQUIRE(stopped.succeeded());
  CHECK((*stopped.answer())->status == container_status::exited);
  CHECK(told.outcomes.at(2)->exit_code == 128 + SIGKILL);
  pass(2min);
  CHECK(told.started.size() == 2);
}

TEST_CASE_METHOD(contained, "a first program that cannot be recorded does not run", "[container]") {
  records.full = true;
  begin();
  REQUIRE(answer->answered());
  CHECK_FALSE(answer->succeeded());
  CHECK(told.outcomes.at(1)->exit_code == 128 + SIGKILL);
}

TEST_CASE_METHOD(contained, "a program that was started again runs on unrecorded, and is recorded later",
                 "[container]") {
  begin_healthy();
  records.full = true;
  exit_with(1);
  pass(1200ms);
  REQUIRE(told.started.size() == 2);
  pass(1min);
  CHECK(told.outcomes.count(2) == 0);
  CHECK(stored().info.process_id == 1);
  records.full = false;
  pass(10s);
  CHECK(stored().info.process_id == 2);
}

TEST_CASE_METHOD(contained,
                 "a workload is answered when it was started, and started again from the first time on",
                 "[container]") {
  env.settings.guest_lease = 30s;
  record.info.workload = true;
  health = errc::upstream_error;
  begin();
  REQUIRE(answer->succeeded());
  CHECK((**answer->answer()).health == container_health::starting);
  CHECK(told.started.at(0).unheeded); // else what it prints of our questions would keep its sandbox
  CHECK(stored().info.workload);
  exit_with(1);
  CHECK(now().status == container_status::restarting);
  pass(1200ms);
  REQUIRE(told.started.size() == 2);
  CHECK(now().restarts == 1);
  pass(31s);
  CHECK(now().health == container_health::unhealthy); // and it runs on
  CHECK(now().status == container_status::running);
  health = errc::none;
  pass(11s);
  CHECK(now().health == container_health::healthy);
  CHECK(told.renewals == 0); // its guest is the sandbox's
}

TEST_CASE_METHOD(contained, "a workload that cannot be started is there to say why", "[container]") {
  record.info.workload = true;
  told.cannot_start = true;
  begin();
  REQUIRE(answer->answered());
  CHECK(code_of(answer->answer()->error()) == errc::upstream_error);
  for (const auto& info : {now(), stored().info}) {
    CHECK(info.status == container_status::exited);
    CHECK(info.error.find("does not exist: serve") != std::string::npos);
  }
  CHECK(ask(actor, end_container{0}));
}

TEST_CASE("what a container is told comes from its order, and is the order's to change", "[container]") {
  container_order order;
  runtime::image_program image{{"/serve"}, {"--fast"}, "app"};
  environment identity{{"SANDY_BASE_URL", "http://127.0.0.1:7330"}, {"SANDY_API_KEY", "token"}};
  auto value = [](const container_program& program, const std::string& name) {
    std::vector<std::string> found;
    for (const auto& [key, text] : program.env)
      if (key == name)
        found.push_back(text);
    REQUIRE(found.size() == 1);
    return found[0];
  };
  auto usual = program_for(order, image, 8081, {}, identity);
  REQUIRE(usual);
  CHECK(usual->arguments == std::vector<std::string>{"/serve", "--fast"});
  CHECK(usual->user == "app");
  CHECK(value(*usual, "JANUS_PLATFORM_URL") == "http://platform-proxy:8000");
  CHECK(value(*usual, "JANUS_LLM_API_KEY") == "token");
  CHECK(value(*usual, "JANUS_MEMORY_URL") == "http://platform-proxy:8000/memory");
  CHECK(value(*usual, "JANUS_SEARCH_URL") == "http://platform-proxy:8000/search");
  CHECK(value(*usual, "JANUS_LOG_LEVEL") == "INFO");
  CHECK(value(*usual, "JANUS_TIMEOUT") == "300");
  CHECK(value(*usual, "PORT") == "8081");
  CHECK(value(*usual, "HOST") == "0.0.0.0");
  CHECK(value(*usual, "SANDY_API_KEY") == "token");
  order.llm_api_key = "key";
  order.memory_url = "http://m";
  order.search_url = "http://s";
  order.command = {"--slow"};
  order.env = {{"PORT", "9"}, {"JANUS_PLATFORM_URL", "http://platform:8000"}};
  auto ordered = program_for(order, image, 8081, {}, identity);
  CHECK(ordered->arguments == std::vector<std::string>{"/serve", "--slow"});
  CHECK(value(*ordered, "JANUS_LLM_API_KEY") == "key");
  CHECK(ordered->platform_key == "key");
  CHECK(usual->platform_key.empty());
  CHECK(value(*ordered, "JANUS_MEMORY_URL") == "http://m");
  CHECK(value(*ordered, "JANUS_SEARCH_URL") == "http://s");
  CHECK(value(*ordered, "PORT") == "9");
  CHECK(value(*ordered, "JANUS_PLATFORM_URL") == "http://platform:8000");
  CHECK(code_of(program_for({}, {}, 8080, {}, identity).error()) == errc::invalid_argument);
}

TEST_CASE("the last line is the last that says something", "[container]") {
  CHECK(last_line_of("") == "");
  CHECK(last_line_of("one\ntwo\n\n  \n") == "two");
  CHECK(last_line_of("only") == "only");
  CHECK(last_line_of("a\x1b[31mred\n") == "a [31mred");
  CHECK(last_line_of("\xff\xfe"
                     "x") == "x");
  CHECK(last_line_of(std::string(100'000, 'y')).size() == 500);
}
