// Containers in real sandboxes.

#include "tests/runtime/inside.hpp"
#include "tests/runtime/machine.hpp"

#include "runtime/files.hpp"

#include <catch2/catch.hpp>

#include <sys/stat.h>

using namespace sandy;
using namespace sandy::runtime;
using namespace sandy::test;

namespace {

const std::vector<std::string> nothing;

struct with_container : machine {
  with_container()
      : about(spec())
      , home(create(about)) {}

  container_spec wanted() const {
    return {make_container_id(), about.id, about.image, about.limits, about.uid_slot};
  }
  instance make(const container_spec& what) {
    auto made = driver().create_container(what);
    if (!made)
      FAIL(text_of(made.error()));
    return std::move(*made);
  }
  void check_nothing_left() {
    auto done = driver().destroy(about.id);
    if (!done)
      FAIL(text_of(done.error()));
    CHECK(traces() == nothing);
  }

  sandbox_spec about;
  instance home;
};

std::string printed(const instance& where, const std::string& script) {
  auto done = run_inside(where, script);
  INFO(done.failure << done.errors);
  CHECK(done.exit_code == 0);
  return done.output;
}

} // namespace

TEST_CASE_METHOD(with_container,
                 "a container has its sandbox's network and owners, and processes and files of its own",
                 "[privileged]") {
  auto one = make(wanted());
  for (auto kind : {"net", "user"})
    CHECK(namespace_of(one.init_pid, kind) == namespace_of(home.init_pid, kind));
  for (auto kind : {"pid", "mnt", "ipc", "uts"})
    CHECK(namespace_of(one.init_pid, kind) != namespace_of(home.init_pid, kind));
  printed(home,
          "echo sandbox > /root/mine; (python3 -m http.server --bind 127.0.0.1 8080 >/dev/null 2>&1 &) ; "
          "for i in $(seq 100); do curl -sf http://127.0.0.1:8080/ >/dev/null && exit 0; sleep 0.05; done; "
          "exit 1");
  CHECK(printed(one, "cat /root/mine 2>/dev/null || echo none") == "none\n");
  CHECK(printed(one, "id -u; curl -sf -o /dev/null http://127.0.0.1:8080/ && echo reached") ==
        "0\nreached\n");
  CHECK(printed(one, "cat /proc/[0-9]*/comm | grep -c python3 || true") == "0\n");
  CHECK(printed(one, "grep -E 'NoNewPrivs|CapBnd|Seccomp:' /proc/self/status") ==
        printed(home, "grep -E 'NoNewPrivs|CapBnd|Seccomp:' /proc/self/status"));
  CHECK(driver().containers(about.id)->size() == 1);
  CHECK(driver().list()->size() == 1); // it is no sandbox
  check_nothing_left();
}

TEST_CASE_METHOD(with_container, "the limits of a sandbox bound its containers", "[privileged]") {
  auto one = make(wanted());
  auto before = driver().stats(about.id)->pids;
  CHECK(before >= 2); // both guests
  auto hog = run_inside(one, "python3 -c 'x = bytearray(400 << 20); print(len(x))'");
  CHECK(hog.exit_code == 137);
  auto full = run_inside(one, "head -c 100M /dev/zero > /root/large");
  CHECK(full.exit_code != 0);
  printed(one, "rm /root/large; [ \"$(stat -fc %T /tmp)\" != tmpfs ]");
  CHECK(driver().verify(about.id, home));
  check_nothing_left();
}

TEST_CASE_METHOD(with_container, "a container stands still with its sandbox, and ends with it",
                 "[privileged]") {
  auto one = make(wanted());
  start_inside(one, "while :; do date +%s%N > /root/beat; sleep 0.01; done");
  REQUIRE(driver().pause(about.id));
  CHECK(code_of(driver().destroy_container(about.id, driver().containers(about.id)->front()).error()) ==
        errc::sandbox_failed);
  SECTION("goes on") {
    REQUIRE(driver().resume(about.id));
    CHECK(driver().verify(about.id, one));
  }
  SECTION("ends paused") {}
  check_nothing_left();
}

TEST_CASE_METHOD(with_container, "containers end alone, and leave nothing", "[privileged]") {
  auto before = traces();
  auto first = wanted(), second = wanted();
  make(first);
  auto two = make(second);
  REQUIRE(driver().destroy_container(about.id, first.id));
  REQUIRE(driver().destroy_container(about.id, first.id));
  CHECK(driver().verify(about.id, two));
  REQUIRE(driver().destroy_container(about.id, second.id));
  CHECK(traces() == before);
  CHECK(driver().verify(about.id, home));
  check_nothing_left();
}

TEST_CASE_METHOD(with_container, "groups of agents come and go beside a container's", "[privileged]") {
  auto one = make(wanted());
  REQUIRE(driver().make_group(about.id, make_sandbox_id().value));
  REQUIRE(driver().remove_empty_groups(about.id));
  start_inside(one, "sleep 1000");
  CHECK(driver().verify(about.id, one));
  check_nothing_left();
}

TEST_CASE_METHOD(with_container, "a container is found again by another server", "[privileged]") {
  auto what = wanted();
  auto one = make(what);
  restart();
  auto found = driver().attach_container(about.id, what.id);
  REQUIRE(found);
  CHECK(found->init_pid == one.init_pid);
  CHECK(printed(*found, "echo here") == "here\n");
  REQUIRE(driver().destroy_container(about.id, what.id));
  CHECK(code_of(driver().attach_container(about.id, what.id).error()) == errc::container_not_found);
  CHECK(code_of(driver().attach_container(about.id, {"../" + about.id.value}).error()) ==
        errc::container_not_found);
  check_nothing_left();
}

TEST_CASE_METHOD(with_container, "what a killed server left of a container goes with its sandbox",
                 "[privileged]") {
  auto id = make_container_id();
  sandbox_files home_files = files(about.id), left{options().data_dir, id};
  REQUIRE(::mkdir(home_files.containers.c_str(), 0700) == 0);
  REQUIRE(write_new_file(home_files.containers + "/" + id.value, ""));
  SECTION("a note") {}
  SECTION("a directory") { REQUIRE(::mkdir(left.box.c_str(), 0700) == 0); }
  SECTION("state of crun") { REQUIRE(::mkdir(left.state.c_str(), 0700) == 0); }
  CHECK(driver().containers(about.id)->size() == 1);
  check_nothing_left();
}

TEST_CASE_METHOD(with_container, "a container that cannot be made leaves nothing", "[privileged]") {
  auto before = traces();
  auto what = wanted();
  what.image = "no-such-image";
  CHECK(code_of(driver().create_container(what).error()) == errc::image_not_found);
  CHECK(traces() == before);
  auto options_with_broken_crun = options();
  options_with_broken_crun.crun = script("broken-crun", "echo no luck >&2; exit 1");
  restart(options_with_broken_crun);
  auto made = driver().create_container(wanted());
  CHECK(code_of(made.error()) == errc::sandbox_failed);
  CHECK(driver().containers(about.id)->empty());
  restart();
  check_nothing_left();
  CHECK(code_of(driver().create_container(wanted()).error()) == errc::sandbox_ended);
}
