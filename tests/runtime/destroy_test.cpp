#include "tests/runtime/inside.hpp"
#include "tests/runtime/machine.hpp"

#include "runtime/files.hpp"

#include <catch2/catch.hpp>

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

using namespace sandy;
using namespace sandy::runtime;
using namespace sandy::test;
using namespace std::chrono_literals;

namespace {

const std::vector<std::string> nothing;

/// A process of ours that sleeps; ended with its owner.
class sleeper {
public:
  sleeper()
      : pid(::fork()) {
    if (pid == 0) {
      ::pause();
      ::_exit(0);
    }
  }
  ~sleeper() {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
  bool alive() const { return ::waitpid(pid, nullptr, WNOHANG) == 0; }
  const pid_t pid;
};

void put(const std::string& path, const std::string& text) { REQUIRE(write_new_file(path, text)); }

struct half_made : machine {
  half_made()
      : id(make_sandbox_id())
      , where(files(id))
      , layout(*cgroup_layout::detect()) {}

  void make_groups(std::size_t count) {
    for (std::size_t i = 0; i < std::min(count, layout.trees().size()); ++i) {
      auto parent = layout.trees()[i] + driver().cgroup_parent();
      ::mkdir(parent.c_str(), 0755);
      REQUIRE(::mkdir((parent + "/" + id.value).c_str(), 0755) == 0);
    }
  }

  void check_destroyed() {
    CHECK_FALSE(driver().list()->empty());
    auto done = driver().destroy(id);
    if (!done)
      FAIL(text_of(done.error()));
    CHECK(driver().list()->empty());
    CHECK(traces() == nothing);
  }

  sandbox_id id;
  sandbox_files where;
  cgroup_layout layout;
};

} // namespace

TEST_CASE_METHOD(half_made, "an empty directory is destroyed", "[privileged]") {
  REQUIRE(::mkdir(where.box.c_str(), 0700) == 0);
  check_destroyed();
}

TEST_CASE_METHOD(half_made, "files without a sandbox are destroyed", "[privileged]") {
  REQUIRE(::mkdir(where.box.c_str(), 0700) == 0);
  for (const auto& path : {where.config, where.disk, where.lock, where.socket})
    put(path, "left by a server that was killed");
  put(where.loop, "0\n");
  check_destroyed();
}

TEST_CASE_METHOD(half_made, "state of crun that cannot be read is destroyed", "[privileged]") {
  auto content = GENERATE(as<std::string>{}, "", "{", "[]", "{\"pid\": \"x\"}",
                          "{\"pid\": 1, \"process-start-time\": -1}");
  REQUIRE(::mkdir(where.state.c_str(), 0700) == 0);
  put(where.state + "/status", content);
  check_destroyed();
}

TEST_CASE_METHOD(half_made, "a process that only has the pid of a sandbox's is not harmed", "[privileged]") {
  sleeper other;
  auto start = process_start_ticks(other.pid);
  REQUIRE(start);
  REQUIRE(::mkdir(where.state.c_str(), 0700) == 0);
  put(where.state + "/status", "{\"pid\": " + std::to_string(other.pid) +
                                   ", \"process-start-time\": " + std::to_string(*start + 1) + "}");
  CHECK(code_of(driver().attach(id).error()) == errc::sandbox_not_found);
  check_destroyed();
  CHECK(other.alive());
}

TEST_CASE_METHOD(half_made, "control groups without processes are destroyed, in some trees or all",
                 "[privileged]") {
  make_groups(GENERATE(1u, 3u, 100u));
  check_destroyed();
}

TEST_CASE_METHOD(half_made, "processes that nobody recorded are destroyed, frozen or not", "[privileged]") {
  auto frozen = GENERATE(false, true);
  make_groups(100);
  sleeper stray;
  for (auto controller : {"freezer", "pids", "memory"})
    REQUIRE(write_control_file(layout.tree(controller) + cgroup_of(id) + "/cgroup.procs",
                               std::to_string(stray.pid)) == 0);
  if (frozen)
    REQUIRE((write_control_file(layout.tree("freezer") + cgroup_of(id) + "/freezer.state", "FROZEN") == 0 ||
             write_control_file(layout.tree("") + cgroup_of(id) + "/cgroup.freeze", "1") == 0));
  check_destroyed();
  CHECK_FALSE(stray.alive());
}

TEST_CASE_METHOD(half_made, "a frozen sandbox is destroyed", "[privileged]") {
  auto wanted = spec();
  wanted.id = id;
  auto made = create(wanted);
  REQUIRE(start_inside(made, "while :; do :; done").failure == "");
  REQUIRE((write_control_file(layout.tree("freezer") + cgroup_of(id) + "/freezer.state", "FROZEN") == 0 ||
           write_control_file(layout.tree("") + cgroup_of(id) + "/cgroup.freeze", "1") == 0));
  check_destroyed();
}

TEST_CASE_METHOD(half_made, "a sandbox is destroyed while it is forking, writing and holding on",
                 "[privileged]") {
  auto wanted = spec();
  wanted.id = id;
  auto made = create(wanted);
  // The bomb comes last: it leaves no process for the others.
  for (auto script : {"while :; do head -c 20M /dev/zero > /root/file; done",
                      "trap '' TERM HUP INT; cd /tmp; exec sleep 1000 > /root/held",
                      "bomb() { bomb | bomb & }; while :; do bomb 2>/dev/null; done"})
    REQUIRE(start_inside(made, script).failure == "");
  check_destroyed();
}

TEST_CASE_METHOD(half_made, "a sandbox whose process 1 was killed is destroyed", "[privileged]") {
  auto wanted = spec();
  wanted.id = id;
  auto made = create(wanted);
  REQUIRE(start_inside(made, "sleep 1000").failure == "");
  kill_process(made.init.get());
  REQUIRE(wait_for_exit(made.init.get(), std::chrono::steady_clock::now() + 5s));
  CHECK(code_of(driver().attach(id).error()) == errc::sandbox_not_found);
  check_destroyed();
}

TEST_CASE_METHOD(half_made, "a sandbox is destroyed by a later server", "[privileged]") {
  auto wanted = spec();
  wanted.id = id;
  create(wanted);
  restart();
  REQUIRE(driver().attach(id));
  check_destroyed();
}

TEST_CASE_METHOD(half_made, "destroy ends what a killed server left at work", "[privileged]") {
  // A crun that never finishes: process and grandchild hold the creation's lock.
  auto stuck = options();
  stuck.crun = script("stuck-crun", "sleep 1000 & : >\"$0.started\"; wait\n");
  restart(stuck);
  auto wanted = spec();
  wanted.id = id;
  auto server = ::fork();
  if (server == 0) {
    driver().create(wanted).value(); // ends in SIGKILL
    ::_exit(1);
  }
  auto deadline = std::chrono::steady_clock::now() + 10s;
  while (::access((stuck.crun + ".started").c_str(), F_OK) != 0 &&
         std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(1ms);
  ::kill(server, SIGKILL);
  ::waitpid(server, nullptr, 0);
  REQUIRE(processes_holding(where.lock).size() == 2);
  CHECK(code_of(driver().attach(id).error()) == errc::sandbox_not_found);
  check_destroyed();
}

TEST_CASE_METHOD(half_made,
                 "a server killed at any moment of a creation leaves nothing that destroy does not find",
                 "[privileged]") {
  auto first = spec(); // builds the disk's template, which would take most of the time
  create(first);
  REQUIRE(driver().destroy(first.id));
  for (auto delay = 0ms; delay <= 60ms; delay += 4ms) {
    INFO(delay.count() << " ms");
    auto wanted = spec();
    auto server = ::fork();
    if (server == 0) {
      auto made = driver().create(wanted);
      ::_exit(made ? 0 : 1);
    }
    std::this_thread::sleep_for(delay); // the moment is the point, and any will do
    ::kill(server, SIGKILL);
    ::waitpid(server, nullptr, 0);
    auto found = driver().list();
    REQUIRE(found);
    for (const auto& one : *found)
      if (auto done = driver().destroy(one); !done)
        FAIL(text_of(done.error()));
    CHECK(traces() == nothing);
  }
}
