#include "actors/create_request.hpp"

#include "machine.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::tests;
using namespace std::chrono_literals;

namespace {

create_request_actor spawn_request(machine& on, std::chrono::milliseconds timeout = 60s) {
  return on.system.spawn<coro::actor<create_request_state, create_request_actor>>(on.worker, timeout);
}

} // namespace

TEST_CASE_METHOD(machine, "a request actor answers with the sandbox and ends; the sandbox lives on",
                 "[create_request]") {
  start();
  auto request = spawn_request(*this);
  CHECK(ask(request, wanted()));
  CHECK(driver.present.size() == 1);
  CHECK(code_of(ask(request, wanted()).error()) == errc::sandbox_ended); // it has quit
}

TEST_CASE_METHOD(machine, "a client that hangs up while its sandbox is made leaves no sandbox",
                 "[create_request]") {
  env.settings.create_concurrency = 1;
  start();
  held = true;
  auto running = spawn_request(*this);
  auto queued = spawn_request(*this);
  send(running, wanted());
  send(queued, wanted());
  run();
  auto end_running = GENERATE(true, false);
  kill(end_running ? running : queued, caf::exit_reason::user_shutdown);
  held = false;
  release();
  CHECK(driver.present.size() == 1);
  CHECK(records.stored.size() == 1);
}

TEST_CASE_METHOD(machine, "a creation that takes too long is undone", "[create_request]") {
  start();
  held = true;
  auto request = spawn_request(*this, 5s);
  auto asked = send(request, wanted());
  run();
  advance(5s);
  REQUIRE(asked.answered());
  CHECK(code_of(asked.answer()->error()) == errc::deadline_exceeded);
  held = false;
  release();
  CHECK(nothing_left());
}
