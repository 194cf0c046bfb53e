// Containers in real sandboxes, whichever driver makes both.

#include "tests/runtime/container_machine.hpp"
#include "tests/runtime/driver_machine.hpp"
#include "tests/runtime/machine.hpp"

using namespace sandy;
using namespace sandy::runtime;
using namespace sandy::test;

namespace {

using with_container = container_machine<any_machine>;

} // namespace

TEST_CASE_METHOD(with_container,
                 "a container has its sandbox's network and owners, and processes and files of its own",
                 "[privileged][conformance]") {
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

TEST_CASE_METHOD(with_container, "the limits of a sandbox bound its containers",
                 "[privileged][conformance]") {
  auto one = make(wanted());
  auto before = driver().stats(about.id)->pids;
  CHECK(before >= 2); // both guests
  auto hog = run_inside(one, "python3 -c 'x = bytearray(400 << 20); print(len(x))'");
  CHECK(hog.exit_code == 137);
  auto full = run_inside(one, "head -c 100M /dev/zero > /root/large");
  CHECK((full.exit_code != 0) == bounds_disks());
  printed(one, "rm /root/large; [ \"$(stat -fc %T /tmp)\" != tmpfs ]");
  // All of it together: what one holds the other does not get.
  const auto idle = driver().stats(about.id)->pids;
  REQUIRE(driver().set_limits(about.id, {0, 0, idle + 8, 0}));
  const std::string forks =
      "exec python3 -c \"\nimport os, signal\nchildren = []\ntry:\n"
      "  while True:\n    children.append(os.fork())\n    children[-1] or signal.pause()\n"
      "except OSError as e: print(e.errno, len(children))\n"
      "for c in children: os.kill(c, 9)\"";
  CHECK(printed(one, forks) == "11 7\n"); // EAGAIN, with the parent and seven children
  REQUIRE(driver().set_limits(about.id, {0, 0, 64, 0}));
  auto kills = driver().stats(about.id)->oom_kills;
  start_inside(home, "exec python3 -c \"import time; x = bytearray(150 << 20); open('/root/full', 'w'); "
                     "time.sleep(1000)\"");
  printed(home, "for i in $(seq 200); do [ -e /root/full ] && exit 0; sleep 0.05; done; exit 1");
  CHECK(driver().stats(about.id)->oom_kills == kills);
  run_inside(one, "python3 -c 'x = bytearray(150 << 20)'");
  CHECK(driver().stats(about.id)->oom_kills > kills);
  CHECK(driver().verify(about.id, home));
  check_nothing_left();
}

TEST_CASE_METHOD(with_container, "a container stands still with its sandbox, and ends with it",
                 "[privileged][conformance]") {
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

TEST_CASE_METHOD(with_container, "containers end alone, and leave nothing", "[privileged][conformance]") {
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

TEST_CASE_METHOD(with_container, "groups of agents come and go beside a container's",
                 "[privileged][conformance]") {
  auto one = make(wanted());
  REQUIRE(driver().make_group(about.id, make_sandbox_id().value));
  REQUIRE(driver().remove_empty_groups(about.id));
  start_inside(one, "sleep 1000");
  CHECK(driver().verify(about.id, one));
  check_nothing_left();
}

TEST_CASE_METHOD(with_container, "a container is found again by another server",
                 "[privileged][conformance]") {
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

TEST_CASE_METHOD(with_container, "a container that cannot be made leaves nothing",
                 "[privileged][conformance]") {
  auto before = traces();
  auto what = wanted();
  what.image = "no-such-image";
  CHECK(code_of(driver().create_container(what).error()) == errc::image_not_found);
  what = wanted();
  what.id.value = "../" + about.id.value;
  CHECK(code_of(driver().create_container(what).error()) == errc::invalid_argument);
  CHECK(traces() == before);
  what = wanted();
  make(what);
  CHECK(code_of(driver().create_container(what).error()) == errc::conflict);
  auto unharmed = driver().attach_container(about.id, what.id);
  // A guest that was too busy to answer is asked again, as the server does.
  for (int more = 0; more < 3 && !unharmed && code_of(unharmed.error()) == errc::sandbox_failed; ++more)
    unharmed = driver().attach_container(about.id, what.id);
  INFO((unharmed ? std::string{} : text_of(unharmed.error())));
  CHECK(unharmed.engaged());
  check_nothing_left();
  CHECK(code_of(driver().create_container(wanted()).error()) == errc::sandbox_ended);
  CHECK(driver().containers(about.id)->empty());
}
