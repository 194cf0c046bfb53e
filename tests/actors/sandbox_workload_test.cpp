// The program of a sandbox's own image, as its sandbox has it.

#include "messages/image.hpp"
#include "tests/actors/machine.hpp"
#include "tests/actors/scripted_container.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::tests;
using namespace std::chrono_literals;

namespace {

const tenant_id alice{"alice"};

struct served : machine {
  served() {
    env.check_health = [this](const sandbox_id&, std::uint16_t port) { return check(port); };
    env.open_container = [this](std::shared_ptr<sandbox_io>, const std::string&) {
      return std::make_shared<scripted_box>(told);
    };
    env.identity = [](const sandbox_info&) { return environment{{"SANDY_API_KEY", "token"}}; };
    driver.workdir = "/srv";
    start();
  }
  ~served() { end_all(); }

  coro::task<void> check(std::uint16_t port) {
    asked_port = port;
    co_return caf::unit;
  }
  sandbox_info make(std::string image = "served") {
    auto request = wanted();
    request.image = std::move(image);
    request.expose_ports = ports;
    request.env = {{"KEY", "mine"}, {"JANUS_LOG_LEVEL", "DEBUG"}};
    auto made = ask(worker, request);
    REQUIRE(made);
    home = made->id;
    return *made;
  }
  std::vector<container_info> all(const sandbox_id& of) { return *ask(worker, list_containers{alice, of}); }
  container_info only() {
    auto found = all(home);
    REQUIRE(found.size() == 1);
    return found[0];
  }
  std::string told_of(const std::string& name) const {
    for (const auto& [key, value] : told.started.at(0).env)
      if (key == name)
        return value;
    return {};
  }
  void restart() {
    kill(worker);
    worker = nullptr;
    run();
    start();
  }

  container_script told;
  std::uint16_t asked_port = 0;
  std::vector<std::uint16_t> ports;
  sandbox_id home;
};

} // namespace

TEST_CASE_METHOD(served, "the program of an image that is no base is what its sandbox runs", "[workload]") {
  ports = {inside_port, 3000, 4000};
  make();
  auto info = only();
  CHECK(info.workload);
  CHECK(info.image == "served");
  CHECK(info.port == 3000); // the first that can be its own
  CHECK(asked_port == 3000);
  CHECK(info.status == container_status::running);
  CHECK(info.health == container_health::healthy);
  REQUIRE(told.started.size() == 1);
  CHECK(told.started[0].argv == std::vector<std::string>{"/serve"});
  CHECK(told.started[0].user == "app");
  CHECK(told.started[0].cwd == "/srv");
  CHECK(told_of("PORT") == "3000");
  CHECK(told_of("JANUS_LLM_API_KEY") == "token");
  CHECK(told_of("KEY") == "mine");
  CHECK(told_of("JANUS_LOG_LEVEL") == "DEBUG"); // the creator has the last word
  CHECK(records.contained.at(info.id).info.workload);
  CHECK(data.find({info.id.value}) != nullptr);
  CHECK(driver.contained[home].empty());
  CHECK(ask(worker, get_container{alice, home, info.id})->workload);
}

TEST_CASE_METHOD(served, "it is told port 8080 where its creator names none", "[workload]") {
  make();
  CHECK(only().port == 8080);
}

TEST_CASE_METHOD(served, "what is no image of somebody's program starts none", "[workload]") {
  SECTION("that of a flavor") { make(""); }
  SECTION("the same, by its name") { make("basic"); }
  SECTION("one that names no program") { make("other"); }
  SECTION("a snapshot, which is files") {
    make();
    REQUIRE(ask(worker, snapshot_sandbox{alice, home, "kept"}));
    told.started.clear();
    make("kept");
  }
  SECTION("a fork, which is files, too") {
    make();
    told.started.clear();
    fork_sandbox request;
    request.caller = alice;
    request.id = home;
    auto made = ask(worker, request);
    REQUIRE(made);
    CHECK(all(home).size() == 1); // the original's runs on
    home = made->at(0).id;
  }
  CHECK(told.started.empty());
  CHECK(all(home).empty());
}

TEST_CASE_METHOD(served, "one that cannot be started says why, and its sandbox lives", "[workload]") {
  told.cannot_start = true;
  make();
  auto info = only();
  CHECK(info.status == container_status::exited);
  CHECK(info.error.find("does not exist: serve") != std::string::npos);
  REQUIRE(ask(worker, open_sandbox{alice, home}));
  restart();
  CHECK(only().error == info.error); // and is not tried again
  CHECK(told.started.size() == 1);
  REQUIRE(ask(worker, remove_container{alice, home, info.id}));
  CHECK(all(home).empty());
}

TEST_CASE_METHOD(served, "it is stopped, and forgotten, without the driver", "[workload]") {
  make();
  auto id = only().id;
  SECTION("one that runs is killed") {
    REQUIRE(ask(worker, remove_container{alice, home, id}));
    CHECK(told.signals == std::vector{SIGKILL});
  }
  SECTION("one that was stopped") {
    CHECK(ask(worker, stop_container{alice, home, id, 1})->status == container_status::exited);
    CHECK(only().status == container_status::exited);
    REQUIRE(ask(worker, remove_container{alice, home, id}));
    CHECK(told.signals == std::vector{SIGTERM});
  }
  CHECK(all(home).empty());
  CHECK(records.contained.empty());
  CHECK(data.find({id.value}) == nullptr);
  CHECK(std::find(driver.history.begin(), driver.history.end(), "destroy container") == driver.history.end());
  REQUIRE(ask(worker, open_sandbox{alice, home}));
  restart();
  CHECK(all(home).empty()); // for good
}

TEST_CASE_METHOD(served, "containers beside it have ports of their own", "[workload]") {
  make();
  run_container request{alice, home, {}};
  request.order.image = "basic";
  auto beside = ask(worker, request);
  REQUIRE(beside);
  CHECK(beside->port == 8081);
  CHECK_FALSE(beside->workload);
  CHECK(all(home).size() == 2);
}

TEST_CASE_METHOD(served, "it ends with its sandbox", "[workload]") {
  make();
  auto id = only().id;
  REQUIRE(ask(worker, terminate_sandbox{alice, home}));
  CHECK(nothing_left());
  CHECK(records.contained.empty());
  CHECK(data.find({id.value}) == nullptr);
}

TEST_CASE_METHOD(served, "that it is asked for its health does not keep its sandbox", "[workload]") {
  auto request = wanted("alice", 3600);
  request.image = "served";
  request.idle_timeout_seconds = 60;
  REQUIRE(ask(worker, request));
  for (int i = 0; i < 61; ++i)
    advance(1s);
  CHECK(nothing_left());
}

TEST_CASE_METHOD(served, "after a restart of the server it goes on", "[workload]") {
  make();
  auto info = only();
  SECTION("one that runs") {
    restart();
    CHECK(told.started.size() == 1);
    told.end(1, exit_of(1)); // and is looked after
    run();
    advance(1s);
    CHECK(told.started.size() == 2);
  }
  SECTION("one that ended meanwhile is started again") {
    kill(worker);
    worker = nullptr;
    run();
    told.end(1, exit_of(1));
    start();
    advance(1s);
    CHECK(told.started.size() == 2);
  }
  SECTION("one that the server had no time to start is started") {
    auto& stored = records.contained.at(info.id);
    stored.info.status = container_status::creating;
    stored.info.process_id = 0;
    restart();
    CHECK(told.started.size() == 2);
  }
  CHECK(only().id == info.id);
  CHECK(only().status == container_status::running);
  CHECK(data.find({info.id.value}) != nullptr);
}

TEST_CASE_METHOD(served, "a sandbox that ends while its program is recorded starts none", "[workload]") {
  held = true;
  auto request = wanted();
  request.image = "served";
  auto asked = send(worker, request);
  run();
  for (int i = 0; i < 10 && driver.present.empty(); ++i)
    release_one(); // until it is made
  REQUIRE_FALSE(driver.present.empty());
  home = *driver.present.begin();
  auto ended = send(worker, terminate_sandbox{alice, home});
  run();
  held = false;
  release();
  REQUIRE(ended.answered());
  CHECK(told.started.empty());
  CHECK(nothing_left());
  CHECK(records.contained.empty());
}
