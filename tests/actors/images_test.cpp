#include "actors/create_request.hpp"
#include "actors/tenant_limits.hpp"
#include "coro/timer.hpp"

#include "machine.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::tests;
using namespace std::chrono_literals;

namespace {

struct studio : machine {
  studio() { start(); }
  ~studio() { end_all(); }

  sandbox_info made(const create_sandbox& request) {
    auto info = ask(worker, request);
    REQUIRE(info);
    return *info;
  }
  sandbox_info made(const std::string& tenant = "alice") { return made(wanted(tenant)); }
  result<image_info> snap(const sandbox_info& of, const std::string& name, principal caller = {{"alice"}}) {
    return ask(worker, snapshot_sandbox{std::move(caller), of.id, name});
  }
  result<sandbox_info> from(const std::string& image, const std::string& tenant = "alice") {
    auto request = wanted(tenant);
    request.image = image;
    return ask(worker, request);
  }
  result<image_info> forget(const std::string& name, principal caller = {{"alice"}}) {
    return ask(worker, remove_image{std::move(caller), name});
  }
  result<std::vector<sandbox_info>> fork(const sandbox_info& of, std::uint32_t count) {
    fork_sandbox request;
    request.caller.tenant.value = "alice";
    request.id = of.id;
    request.count = count;
    return ask(worker, request);
  }
  void finish(const sandbox_info& which) {
    REQUIRE(ask(worker, terminate_sandbox{{which.tenant}, which.id}));
    run();
  }
  bool no_layers() const { return driver.kept_layers.empty() && records.kept.empty(); }
};

} // namespace

TEST_CASE_METHOD(studio, "a sandbox is made from a snapshot, by its tenant alone", "[images]") {
  auto source = made();
  auto image = snap(source, "ready");
  REQUIRE(image);
  CHECK(image->snapshot);
  CHECK(image->source == source.id);
  auto copy = from("ready");
  REQUIRE(copy);
  CHECK(copy->image == "ready");
  CHECK(driver.below[copy->id] == records.kept.begin()->first);
  from("ready", "bob"); // for him it is the name of an image, which the driver looks up
  CHECK(driver.last.layer.value.empty());
}

TEST_CASE_METHOD(studio, "a snapshot's name is taken once, and the installation's names always are",
                 "[images]") {
  auto source = made();
  REQUIRE(snap(source, "ready"));
  CHECK(code_of(snap(source, "ready").error()) == errc::conflict);
  CHECK(code_of(snap(source, "basic").error()) == errc::conflict);
  CHECK(code_of(snap(source, "../x").error()) == errc::invalid_argument);
  CHECK(code_of(forget("basic").error()) == errc::forbidden);
  CHECK(records.kept.size() == 1);
  auto his = made("bob");
  CHECK(snap(his, "ready", {{"bob"}}));
  CHECK(code_of(snap(his, "stolen").error()) == errc::sandbox_not_found);
}

TEST_CASE_METHOD(studio, "a snapshot without a name gets one", "[images]") {
  auto image = snap(made(), "");
  REQUIRE(image);
  CHECK(image->name.starts_with("snapshot-"));
  CHECK(from(image->name));
}

TEST_CASE_METHOD(studio, "a tenant keeps no more snapshots than it may", "[images]") {
  env.settings.max_snapshots = 2;
  auto source = made();
  REQUIRE(snap(source, "one"));
  REQUIRE(snap(source, "two"));
  CHECK(code_of(snap(source, "three").error()) == errc::rate_limited);
  REQUIRE(forget("one"));
  CHECK(snap(source, "three"));
}

TEST_CASE_METHOD(studio, "a snapshot that fails leaves neither a name nor a record", "[images]") {
  auto source = made();
  driver.fail_copy = true;
  CHECK(code_of(snap(source, "ready").error()) == errc::capacity_exhausted);
  run();
  CHECK(no_layers());
  driver.fail_copy = false;
  records.full = true;
  CHECK_FALSE(snap(source, "ready"));
  records.full = false;
  run();
  CHECK(no_layers());
  CHECK(snap(source, "ready"));
}

TEST_CASE_METHOD(studio, "a layer goes with its name and the last that is made from it", "[images]") {
  auto source = made();
  REQUIRE(snap(source, "ready"));
  auto copy = from("ready");
  REQUIRE(copy);
  REQUIRE(snap(*copy, "second"));
  REQUIRE(forget("ready"));
  CHECK(driver.kept_layers.size() == 2); // "second" stands on it, and so does a sandbox
  finish(*copy);
  CHECK(driver.kept_layers.size() == 2);
  REQUIRE(forget("second"));
  CHECK(no_layers());
}

TEST_CASE_METHOD(studio, "forks are what their original is, and their layer goes with the last", "[images]") {
  auto request = wanted();
  request.env = {{"A", "1"}, {"B", "2"}};
  request.priority = 1;
  request.expose_ports = {3000};
  auto source = made(request);
  auto forks = fork(source, 3);
  REQUIRE(forks);
  REQUIRE(forks->size() == 3);
  for (const auto& each : *forks) {
    CHECK(each.priority == 1);
    CHECK(each.expose_ports == std::vector<std::uint16_t>{3000});
    CHECK(each.ttl_seconds == source.ttl_seconds);
    CHECK(records.stored.at(each.id).env == request.env);
    CHECK(driver.below[each.id] == *driver.kept_layers.begin());
  }
  for (const auto& each : *forks) {
    CHECK(driver.kept_layers.size() == 1);
    finish(each);
  }
  CHECK(no_layers());
}

TEST_CASE_METHOD(studio, "forks are made all or none", "[images]") {
  env.settings.create_queue = 0;
  auto source = made();
  driver.fail_create = true;
  CHECK_FALSE(fork(source, 2));
  run();
  CHECK(driver.present == std::set<sandbox_id>{source.id});
  CHECK(no_layers());
}

TEST_CASE_METHOD(studio, "snapshots and what stands on them survive a restart", "[images]") {
  auto source = made();
  REQUIRE(snap(source, "ready"));
  REQUIRE(fork(source, 1));
  REQUIRE(driver.kept_layers.size() == 2);
  kill(worker);
  worker = nullptr;
  run();
  driver.kept_layers.insert({"left by a crash"});
  auto half = records.kept.begin()->second;
  half.id.value = "half made";
  half.name = "half";
  half.complete = false;
  records.kept[half.id] = half;
  driver.kept_layers.insert(half.id);
  start();
  CHECK(driver.kept_layers.size() == 2);
  CHECK(records.kept.size() == 2);
  CHECK(from("ready"));
}

TEST_CASE_METHOD(studio, "forks that are made when another fails end before the caller hears of it",
                 "[images]") {
  env.settings.create_concurrency = 1;
  auto source = made();
  held = true;
  fork_sandbox request;
  request.caller.tenant.value = "alice";
  request.id = source.id;
  request.count = 2;
  auto asked = send(worker, request);
  run();
  release_one(); // the copy
  release_one(); // the first
  CHECK(driver.present.size() == 2);
  driver.fail_create = true;
  held = false;
  release();
  run();
  auto answer = asked.answer();
  REQUIRE(answer);
  CHECK_FALSE(*answer);
  CHECK(driver.present == std::set<sandbox_id>{source.id});
  auto ended = std::find_if(records.stones.begin(), records.stones.end(),
                            [&](const auto& stone) { return stone.reason == end_reason::failed; });
  CHECK(ended != records.stones.end());
  CHECK(no_layers());
}

TEST_CASE_METHOD(studio, "who waits long for its turn to copy is told to come again", "[images]") {
  std::vector<sandbox_info> sources{made(), made(), made()};
  held = true;
  std::vector<decltype(send(worker, snapshot_sandbox{}))> asked;
  for (const auto& each : sources)
    asked.push_back(send(worker, snapshot_sandbox{{{"alice"}}, each.id, "of-" + each.id.value}));
  run();
  for (int i = 0; i < 3; ++i)
    release_one(); // the names of the installation's images
  CHECK(calls.size() == 2);
  advance(30s);
  auto third = asked[2].answer();
  REQUIRE(third);
  REQUIRE_FALSE(*third);
  CHECK(code_of(third->error()) == errc::capacity_exhausted);
  CHECK(retry_after_of(third->error()) > 0);
  held = false;
  release();
  run();
  CHECK(records.kept.size() == 2);
}

TEST_CASE_METHOD(studio, "a worker that is drained ends copies and begins no more", "[images]") {
  auto source = made();
  held = true;
  auto first = send(worker, snapshot_sandbox{{{"alice"}}, source.id, "first"});
  run();
  release_one();
  auto drained = send(worker, drain_worker{});
  run();
  CHECK_FALSE(drained.answered());
  held = false;
  release();
  run();
  CHECK(driver.copies_ended == 1);
  CHECK(drained.answered());
  CHECK(code_of(snap(source, "late").error()) == errc::shutting_down);
}

TEST_CASE_METHOD(studio, "the end of a sandbox does not wait for its copying", "[images]") {
  auto source = made();
  held = true;
  auto asked = send(worker, snapshot_sandbox{{{"alice"}}, source.id, "never"});
  run();
  release_one();              // the names of the installation's images
  REQUIRE(calls.size() == 1); // the copying
  auto ending = send(worker, terminate_sandbox{{{"alice"}}, source.id});
  run();
  CHECK(calls.size() == 2); // the end is at the kernel, too, where it ends the copying
  held = false;
  release();
  run();
  auto answer = asked.answer();
  REQUIRE(answer);
  CHECK(code_of(answer->error()) == errc::sandbox_ended);
  CHECK(ending.answered());
  CHECK(nothing_left());
  CHECK(no_layers());
}

TEST_CASE_METHOD(studio, "a sandbox is paused when its copying is over", "[images]") {
  auto source = made();
  held = true;
  auto asked = send(worker, snapshot_sandbox{{{"alice"}}, source.id, "ready"});
  run();
  release_one();
  auto pausing = send(worker, pause_sandbox{{{"alice"}}, source.id});
  run();
  CHECK(driver.pauses == 0);
  held = false;
  release();
  run();
  auto answer = asked.answer();
  REQUIRE(answer);
  CHECK(*answer);
  CHECK(pausing.answered());
  CHECK(driver.frozen.contains(source.id));
}

TEST_CASE_METHOD(studio, "an imported image is everybody's to use and an administrator's to forget",
                 "[images]") {
  driver.imported = {{"theirs", 5, 4096, true, "sha256:aa", {"sha256:bb"}}};
  auto all = ask(worker, list_images{{{"alice"}}});
  REQUIRE(all);
  REQUIRE(all->size() == 2);
  CHECK(all->at(1).name == "theirs");
  CHECK(all->at(1).imported);
  CHECK(all->at(1).digest == "sha256:aa");
  CHECK(all->at(1).layers == std::vector<std::string>{"sha256:bb"});
  CHECK(all->at(1).size_bytes == 4096);
  CHECK(code_of(forget("theirs").error()) == errc::forbidden);
  principal admin{{"alice"}};
  admin.admin = true;
  CHECK(code_of(forget("basic", admin).error()) == errc::forbidden);
  CHECK(code_of(forget("unknown", admin).error()) == errc::image_not_found);
  auto gone = forget("theirs", admin);
  REQUIRE(gone);
  CHECK(gone->name == "theirs");
  CHECK(driver.imported.empty());
}

TEST_CASE_METHOD(studio, "a tenant's snapshot goes before an image imported later under its name",
                 "[images]") {
  REQUIRE(snap(made(), "mine"));
  driver.imported = {{"mine", 5, 4096, true, "", {}}};
  auto all = ask(worker, list_images{{{"alice"}}});
  REQUIRE(all);
  REQUIRE(all->size() == 2);
  CHECK(all->at(1).snapshot);
  all = ask(worker, list_images{{{"bob"}}});
  REQUIRE(all);
  REQUIRE(all->size() == 2);
  CHECK(all->at(1).imported);
}

TEST_CASE_METHOD(studio, "what imports left is looked for at the start and from then on", "[images]") {
  CHECK(driver.image_sweeps > 0);
  auto before = driver.image_sweeps;
  advance(61s);
  CHECK(driver.image_sweeps > before);
}

TEST_CASE_METHOD(studio, "commands start where the creator says, else where the image says", "[images]") {
  CHECK(made().workdir == "/workspace");
  driver.workdir = "/srv";
  CHECK(made().workdir == "/srv");
  auto request = wanted("alice");
  request.workdir = "/elsewhere";
  CHECK(made(request).workdir == "/elsewhere");
}

TEST_CASE_METHOD(studio, "an alias is what the configuration says, unless a snapshot has its name",
                 "[images]") {
  env.settings.images = image_names{{{"janus-runtime", "basic"}, {"ready", "basic"}, {"mine", "imported"}}};
  auto aliased = from("janus-runtime:latest");
  REQUIRE(aliased);
  CHECK(aliased->image == "basic");
  auto source = made();
  CHECK(code_of(snap(source, "ready").error()) == errc::conflict);
  env.settings.images = {};
  REQUIRE(snap(source, "ready"));
  env.settings.images = image_names{{{"ready", "basic"}, {"mine", "imported"}}};
  auto copy = from("ready");
  REQUIRE(copy);
  CHECK(driver.last.layer.value == records.kept.begin()->first.value);
  runtime::installed_image imported{"imported", 1};
  imported.imported = true;
  driver.imported.push_back(std::move(imported));
  principal admin{{"alice"}};
  admin.admin = true;
  auto forgotten = forget("mine", admin);
  REQUIRE(forgotten);
  CHECK(forgotten->name == "imported");
}

TEST_CASE_METHOD(studio,
                 "an image is provided before a sandbox is made from it, unless a snapshot has its name",
                 "[images]") {
  std::vector<std::string> provided;
  caf::error refusal;
  env.settings.images = image_names{{{"janus-runtime", "basic"}}};
  env.provide_image = [&](std::string name) -> coro::task<void> {
    provided.push_back(std::move(name));
    if (refusal)
      co_return refusal;
    co_return caf::unit;
  };
  auto source = made();
  REQUIRE(from("janus-runtime"));
  REQUIRE(snap(source, "ready"));
  REQUIRE(from("ready"));
  CHECK(provided == std::vector<std::string>{"janus-runtime"});
  refusal = fail(errc::upstream_error, "the registry is down");
  CHECK(code_of(from("other").error()) == errc::upstream_error);
  CHECK(driver.present.size() == 3);
  env.provide_image = nullptr;
}

namespace {

/// A studio whose images take an hour to come.
struct slow_registry : studio {
  slow_registry() {
    env.provide_image = [this](std::string name) -> coro::task<void> {
      fetched.push_back(std::move(name));
      co_await coro::sleep_for(1h);
      co_return caf::unit;
    };
  }
  ~slow_registry() { env.provide_image = nullptr; }
  create_sandbox distant() const {
    auto request = wanted();
    request.image = "distant";
    return request;
  }
  std::vector<std::string> fetched;
};

} // namespace

TEST_CASE_METHOD(slow_registry, "who gave up while an image was fetched gets nothing when it is there",
                 "[images]") {
  std::vector<create_request_actor> callers;
  std::vector<question<sandbox_info>> gone;
  for (int i = 0; i < 3; ++i) {
    callers.push_back(system.spawn<coro::actor<create_request_state, create_request_actor>>(worker, 60s));
    gone.push_back(send(callers.back(), distant()));
  }
  auto patient = system.spawn<coro::actor<create_request_state, create_request_actor>>(worker, 2h);
  auto waits = send(patient, distant());
  run();
  CHECK(fetched.size() == 4);
  kill(callers[0]);
  run();
  advance(61s); // the others' time is over
  CHECK(gone[1].answered());
  CHECK(driver.creations == 0);
  advance(1h);
  REQUIRE(waits.succeeded());
  CHECK(driver.creations == 1);
  CHECK(ask(worker, get_health{})->sandboxes == 1);
}

TEST_CASE_METHOD(slow_registry, "no image is fetched for who may create nothing", "[images]") {
  auto request = distant();
  auto expected = errc::rate_limited;
  SECTION("a tenant at its limit") {
    tenant_limits few;
    few.memory_bytes = 1;
    env.limits->set(tenant_id{"alice"}, few);
  }
  SECTION("more than there is room for") {
    env.settings.max_limits.memory_bytes = 1ull << 50;
    request.limits.memory_bytes = 1ull << 50;
    expected = errc::capacity_exhausted;
  }
  SECTION("a parent that is not there") {
    request.parent = make_sandbox_id();
    expected = errc::sandbox_not_found;
  }
  SECTION("connections that cannot be") {
    request.connect_to = {make_sandbox_id()};
    expected = errc::sandbox_not_found;
  }
  SECTION("a server that stops") {
    send(worker, close_worker{});
    run();
    expected = errc::shutting_down;
  }
  CHECK(code_of(ask(worker, request).error()) == expected);
  CHECK(fetched.empty());
}

TEST_CASE_METHOD(slow_registry, "what has changed when the image is there is asked again", "[images]") {
  auto waits = send(worker, distant());
  run();
  send(worker, close_worker{});
  run();
  advance(1h);
  REQUIRE(waits.answered());
  CHECK(code_of(waits.answer()->error()) == errc::shutting_down);
  CHECK(driver.creations == 0);
}
