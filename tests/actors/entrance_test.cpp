// The ways into sandboxes follow their lives.

#include "machine.hpp"

#include "runtime/entrance.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::tests;
using runtime::entrance_state;

namespace {

const tenant_id alice{"alice"};

struct entering : machine, runtime::entrance_observer {
  std::vector<entrance_state> opened, changed;

  entering() {
    env.entrances->observe(this);
    start();
  }
  ~entering() override { end_all(); }
  void entrance_opened(const runtime::entrance& which) override { opened.push_back(which.state); }
  void entrance_changed(const runtime::entrance& which) override { changed.push_back(which.state); }
};

} // namespace

TEST_CASE_METHOD(entering, "a sandbox can be entered from its first moment to its end", "[entrance]") {
  auto request = wanted();
  request.expose_ports = {3000};
  request.private_ports = {5173};
  request.env = {{"SANDY_RUNTIME_PORT", "8000"}, {"JANUS_ARTIFACT_PORT", "no port"}};
  auto id = ask(worker, request)->id;
  auto way = env.entrances->find(id);
  REQUIRE(way);
  CHECK(opened == std::vector{entrance_state::starting, entrance_state::open});
  CHECK((way->id == id && way->tenant == alice && way->state == entrance_state::open));
  CHECK((way->runtime_port == 8000 && way->artifact_port == 8787));
  CHECK(way->exposed_ports == std::vector<std::uint16_t>{3000});
  CHECK(way->private_ports == std::vector<std::uint16_t>{5173});
  CHECK(way->own_ports == std::vector{inside_port, model_port});
  CHECK(way->sockets);

  REQUIRE(ask(worker, terminate_sandbox{alice, id}));
  CHECK(way->state == entrance_state::gone);
  CHECK_FALSE(env.entrances->find(id));
  CHECK(changed.back() == entrance_state::gone);
}

TEST_CASE_METHOD(entering, "a sandbox that a caller paused cannot be entered until it is resumed",
                 "[entrance]") {
  auto id = ask(worker, wanted())->id;
  auto way = env.entrances->find(id);
  REQUIRE(ask(worker, pause_sandbox{alice, id}));
  CHECK(way->state == entrance_state::paused);
  REQUIRE(ask(worker, resume_sandbox{alice, id}));
  CHECK(way->state == entrance_state::open);
}

TEST_CASE_METHOD(entering, "one that fell asleep is woken, one in use does not fall asleep", "[entrance]") {
  auto request = wanted();
  request.idle_timeout_seconds = 10;
  request.pause_on_idle = true;
  auto id = ask(worker, request)->id;
  auto way = env.entrances->find(id);
  {
    runtime::guest_use visit{way->uses};
    advance(std::chrono::minutes{1});
    CHECK(way->state == entrance_state::open);
  }
  advance(std::chrono::minutes{1});
  CHECK(way->state == entrance_state::asleep);
  REQUIRE(ask(worker, open_sandbox{alice, id}));
  CHECK(way->state == entrance_state::open);
}
