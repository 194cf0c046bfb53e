// Containers as their sandbox has them.

#include "coro/timer.hpp"
#include "tests/actors/machine.hpp"
#include "tests/actors/scripted_container.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::tests;
using namespace std::chrono_literals;

namespace {

const tenant_id alice{"alice"};

struct pods : machine {
  pods() {
    env.check_health = [this](const sandbox_id&, std::uint16_t) { return check(); };
    env.open_container = [this](std::shared_ptr<sandbox_io>, const std::string&) {
      return std::make_shared<scripted_box>(told);
    };
    env.identity = [](const sandbox_info&) { return environment{{"SANDY_API_KEY", "token"}}; };
    env.settings.images = image_names{{{"my-model", "basic"}}};
    start();
    home = ask(worker, wanted())->id;
  }
  ~pods() { end_all(); }

  coro::task<void> check() {
    if (!healthy)
      co_return fail(errc::upstream_error, "nothing listens");
    co_return caf::unit;
  }
  run_container order(std::string image = "basic") const {
    run_container request{alice, home, {}};
    request.order.image = std::move(image);
    return request;
  }
  container_info run_one() {
    auto made = ask(worker, order());
    REQUIRE(made);
    return *made;
  }
  std::vector<container_info> all() { return *ask(worker, list_containers{alice, home}); }
  bool no_container() { return driver.contained[home].empty() && records.contained.empty(); }

  container_script told;
  bool healthy = true;
  sandbox_id home;
};

} // namespace

TEST_CASE_METHOD(pods, "a container is recorded before it is made, and made in its sandbox", "[container]") {
  auto info = run_one();
  CHECK(is_container_id(info.id.value));
  CHECK(info.sandbox == home);
  CHECK(info.port == 8080);
  CHECK(info.status == container_status::running);
  CHECK(info.health == container_health::healthy);
  CHECK(driver.last_container.sandbox == home);
  CHECK(driver.last_container.uid_slot == records.stored.at(home).uid_slot);
  CHECK(driver.last_container.limits == records.stored.at(home).info.limits);
  CHECK(told.started.at(0).argv == std::vector<std::string>{"/serve"});
  CHECK(records.contained.at(info.id).info.status == container_status::running);
  CHECK(data.find({info.id.value}) != nullptr);
  CHECK(ask(worker, get_container{alice, home, info.id})->id == info.id);
  CHECK(code_of(ask(worker, get_container{tenant_id{"bob"}, home, info.id}).error()) ==
        errc::sandbox_not_found);
  CHECK(code_of(ask(worker, get_container{alice, home, make_container_id()}).error()) ==
        errc::container_not_found);
  CHECK(ask(worker, order("my-model"))->image == "my-model"); // an alias
  CHECK(driver.last_container.image == "basic");
}

TEST_CASE_METHOD(pods, "a container that cannot be had leaves nothing", "[container]") {
  auto want = order();
  auto expected = errc::sandbox_failed;
  SECTION("no such image") {
    want = order("none");
    expected = errc::upstream_error;
  }
  SECTION("not the name of an image") {
    want = order("../etc");
    expected = errc::validation_failed;
  }
  SECTION("the kernel refuses") { driver.fail_create = true; }
  SECTION("it cannot be recorded") {
    records.full = true;
    expected = errc::internal;
  }
  SECTION("its program cannot be started") {
    told.cannot_start = true;
    expected = errc::upstream_error;
  }
  SECTION("it is never healthy") {
    healthy = false;
    expected = errc::deadline_exceeded;
  }
  auto asked = send(worker, want);
  run();
  for (int i = 0; i < 320 && !asked.answered(); ++i)
    advance(100ms);
  records.full = false;
  REQUIRE(asked.answered());
  CHECK(code_of(asked.answer()->error()) == expected);
  CHECK(all().empty());
  CHECK(driver.contained[home].empty());
  CHECK(records.contained.empty());
}

TEST_CASE_METHOD(pods, "an image that took long is there for the next order, and for no container",
                 "[container]") {
  auto takes = 50s;
  env.provide_image = [&takes](std::string) -> coro::task<void> {
    co_await coro::sleep_for(takes);
    co_return caf::unit;
  };
  auto asked = send(worker, order());
  run();
  for (int i = 0; i < 60 && !asked.answered(); ++i)
    advance(1s);
  REQUIRE(asked.answered());
  CHECK(code_of(asked.answer()->error()) == errc::upstream_error);
  CHECK(retry_after_of(asked.answer()->error()) == 1);
  CHECK(no_container());
  takes = 10s;
  asked = send(worker, order());
  run();
  for (int i = 0; i < 12; ++i)
    advance(1s);
  CHECK(asked.succeeded());
  env.provide_image = nullptr;
}

TEST_CASE_METHOD(pods, "a container knows the sandbox's names before its program starts", "[container]") {
  run_one();
  run_one();
  CHECK(told.hosts_before == std::vector<std::size_t>{0, 1});
}

TEST_CASE_METHOD(pods, "each container has a port of its own, and there are four at most", "[container]") {
  driver.taken_ports = {8081};
  auto first = run_one();
  CHECK(first.port == 8080);
  CHECK(run_one().port == 8082);
  auto reserved = order();
  reserved.order.port = inside_port;
  CHECK(ask(worker, reserved)->port == inside_port + 2); // neither the API's nor the model's
  run_one();
  CHECK(code_of(ask(worker, order()).error()) == errc::limit_reached);
  CHECK(all().size() == 4);
  REQUIRE(ask(worker, remove_container{alice, home, first.id}));
  CHECK(ask(worker, order())->port == 8080);
}

TEST_CASE_METHOD(pods, "a container is stopped, and removed with all there is of it", "[container]") {
  auto id = run_one().id;
  auto stopped = ask(worker, stop_container{alice, home, id, 1});
  REQUIRE(stopped);
  CHECK(stopped->status == container_status::exited);
  CHECK(all().size() == 1);
  CHECK(driver.contained[home].size() == 1); // its log is there
  REQUIRE(ask(worker, remove_container{alice, home, id}));
  CHECK(no_container());
  CHECK(data.find({id.value}) == nullptr);
  CHECK(code_of(ask(worker, remove_container{alice, home, id}).error()) == errc::container_not_found);
}

TEST_CASE_METHOD(pods, "a container waits for its image, and no thread does", "[container]") {
  driver.looks_in_vain = 2;
  auto asked = send(worker, order());
  run();
  CHECK_FALSE(asked.answered());
  CHECK(no_container());
  advance(200ms);
  CHECK_FALSE(asked.answered());
  advance(200ms);
  CHECK(asked.succeeded());
}

TEST_CASE_METHOD(pods, "containers end with their sandbox", "[container]") {
  auto id = run_one().id;
  SECTION("that runs") {}
  SECTION("that is paused") { REQUIRE(ask(worker, pause_sandbox{alice, home})); }
  REQUIRE(ask(worker, terminate_sandbox{alice, home}));
  CHECK(nothing_left());
  CHECK(records.contained.empty());
  CHECK(data.find({id.value}) == nullptr);
}

TEST_CASE_METHOD(pods, "a sandbox that ends while a container is made waits for that", "[container]") {
  held = true;
  auto asked = send(worker, order());
  run();
  release_one();              // the image
  release_one();              // the port
  release_one();              // whether the image is at hand
  REQUIRE(calls.size() == 1); // the container
  auto ended = send(worker, terminate_sandbox{alice, home});
  run();
  CHECK(calls.size() == 1);
  held = false;
  release();
  REQUIRE(ended.succeeded());
  REQUIRE(asked.answered());
  CHECK(code_of(asked.answer()->error()) == errc::sandbox_not_found);
  CHECK(std::find(driver.history.begin(), driver.history.end(), "create container") <
        std::find(driver.history.begin(), driver.history.end(), "destroy " + home.value));
}

TEST_CASE_METHOD(pods, "a paused sandbox makes no container, and answers of none", "[container]") {
  auto id = run_one().id;
  REQUIRE(ask(worker, pause_sandbox{alice, home}));
  CHECK(code_of(ask(worker, order()).error()) == errc::sandbox_paused);
  CHECK(code_of(ask(worker, get_container{alice, home, id}).error()) == errc::sandbox_paused);
  CHECK(all().size() == 1);
  REQUIRE(ask(worker, resume_sandbox{alice, home}));
  CHECK(ask(worker, get_container{alice, home, id}));
}

TEST_CASE_METHOD(pods, "the key that came with a container is the sandbox's, also after a restart",
                 "[container]") {
  std::vector<std::string> used;
  env.use_platform_key = [&](const sandbox_id& inside, std::string key) -> result<void> {
    CHECK(inside == home);
    used.push_back(std::move(key));
    return caf::unit;
  };
  auto first = order(), second = order();
  first.order.llm_api_key = "sk-1";
  second.order.llm_api_key = "sk-2";
  REQUIRE(ask(worker, first));
  advance(1s);
  REQUIRE(ask(worker, second));
  REQUIRE(ask(worker, order()));
  CHECK(used == std::vector<std::string>{"sk-1", "sk-2"});
  used.clear();
  kill(worker);
  worker = nullptr;
  run();
  start();
  CHECK(all().size() == 3);
  CHECK(used == std::vector<std::string>{"sk-1", "sk-2"});
  env.use_platform_key = nullptr;
}

TEST_CASE_METHOD(pods, "after a restart containers go on, and what nobody knows is removed", "[container]") {
  auto running = run_one(), dead = run_one();
  container_record half_made;
  half_made.info.id = make_container_id();
  half_made.info.sandbox = home;
  records.contained[half_made.info.id] = half_made;
  driver.contained[home].insert(half_made.info.id);
  driver.contained[home].insert(make_container_id()); // without a record
  driver.dead_containers.insert(dead.id);
  kill(worker);
  worker = nullptr;
  run();
  auto starts = told.started.size();
  start();
  auto found = all();
  REQUIRE(found.size() == 2);
  CHECK(told.started.size() == starts); // nothing is started again
  CHECK(ask(worker, get_container{alice, home, running.id})->status == container_status::running);
  CHECK(told.hosts_before.size() == 2); // they have the names already
  auto gone = ask(worker, get_container{alice, home, dead.id});
  CHECK(gone->status == container_status::exited);
  CHECK_FALSE(gone->error.empty());
  CHECK(driver.contained[home] == std::set<container_id>{running.id, dead.id});
  CHECK(data.find({running.id.value}) != nullptr);
  REQUIRE(ask(worker, remove_container{alice, home, dead.id}));
  REQUIRE(ask(worker, remove_container{alice, home, running.id}));
  CHECK(no_container());
}
