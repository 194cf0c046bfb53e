#include "tests/runtime/inside.hpp"
#include "tests/runtime/machine.hpp"

#include "runtime/files.hpp"

#include <catch2/catch.hpp>

#include <poll.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace sandy;
using namespace sandy::runtime;
using namespace sandy::test;
using namespace std::chrono_literals;

namespace {

const std::vector<std::string> nothing;

struct failing_crun : machine {
  /// Creates with a stand-in for crun, which must fail and leave nothing. Returns the error.
  caf::error create_with(const std::string& crun, std::chrono::milliseconds timeout = 10s) {
    auto changed = options();
    changed.crun = crun;
    changed.create_timeout = timeout;
    restart(changed);
    auto made = driver().create(spec());
    REQUIRE_FALSE(made);
    CHECK(traces() == nothing);
    CHECK(driver().list()->empty());
    CHECK(text_of(made.error()).find(options().data_dir) == std::string::npos); // clients read this
    return made.error();
  }
};

} // namespace

std::unique_ptr<driver_machine> sandy::test::make_driver_machine() { return std::make_unique<machine>(); }

TEST_CASE_METHOD(failing_crun, "a missing crun is an error that says so", "[privileged]") {
  auto error = create_with("/nonexistent/crun");
  CHECK(code_of(error) == errc::sandbox_failed);
  CHECK(text_of(error).find("start crun: No such file or directory") != std::string::npos);
}

TEST_CASE_METHOD(failing_crun, "what crun complains about is passed on", "[privileged]") {
  auto error = create_with(script("stand-in", "echo 'the moon is full' >&2; exit 1\n"));
  CHECK(code_of(error) == errc::sandbox_failed);
  CHECK(text_of(error) == "the sandbox could not be started: the moon is full");
}

TEST_CASE_METHOD(failing_crun, "a host out of room is told apart", "[privileged]") {
  auto error = create_with(script("stand-in", "echo 'fork: Resource temporarily unavailable' >&2; exit 1\n"));
  CHECK(code_of(error) == errc::capacity_exhausted);
}

TEST_CASE_METHOD(failing_crun, "a crun that hangs is ended at the deadline, with its children",
                 "[privileged]") {
  auto begin = std::chrono::steady_clock::now();
  auto error = create_with(script("stand-in", "sleep 1000 & wait\n"), 300ms);
  CHECK(code_of(error) == errc::sandbox_failed);
  CHECK(text_of(error).find("in time") != std::string::npos);
  CHECK(std::chrono::steady_clock::now() - begin < 3s);
}

TEST_CASE_METHOD(failing_crun, "a crun that does nothing and says it went well is not believed",
                 "[privileged]") {
  CHECK(code_of(create_with(script("stand-in", "exit 0\n"))) == errc::sandbox_failed);
}

TEST_CASE_METHOD(failing_crun, "a crun that dies after starting the sandbox leaves nothing", "[privileged]") {
  CHECK(code_of(create_with(script("stand-in", "/usr/bin/crun \"$@\"; kill -9 $$\n"))) ==
        errc::sandbox_failed);
}

TEST_CASE_METHOD(failing_crun, "a guest that does not answer leaves nothing", "[privileged]") {
  auto changed = options();
  changed.guest = GENERATE(as<std::string>{}, "/bin/true", "/bin/cat");
  changed.create_timeout = 1s;
  restart(changed);
  auto made = driver().create(spec());
  REQUIRE_FALSE(made);
  CHECK(code_of(made.error()) == errc::sandbox_failed);
  CHECK(traces() == nothing);
}

TEST_CASE_METHOD(machine, "a full host disk refuses a sandbox and keeps nothing of it", "[privileged]") {
  // In a process of its own: the small disk must not show in the machine's mounts.
  auto child = ::fork();
  if (child == 0) {
    auto full = ::unshare(CLONE_NEWNS) == 0 &&
                ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                ::mount("tmpfs", options().data_dir.c_str(), "tmpfs", 0, "size=64k") == 0;
    auto made = crun_driver::make(options());
    if (!full || !made)
      ::_exit(2);
    auto refused = (*made)->create(spec());
    ::_exit(!refused && code_of(refused.error()) == errc::capacity_exhausted && (*made)->list()->empty() ? 0
                                                                                                         : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("two servers on one machine do not see each other's sandboxes", "[privileged]") {
  machine one, other;
  CHECK(one.driver().cgroup_parent() != other.driver().cgroup_parent());
  auto spec = one.spec();
  auto made = one.create(spec);
  CHECK(other.driver().list()->empty());
  CHECK_FALSE(other.driver().attach(spec.id));
  CHECK(other.driver().destroy(spec.id)); // of nothing
  CHECK(run_inside(made, "echo alive").output == "alive\n");
  // Even with the same id.
  auto twin = other.create(spec);
  REQUIRE(one.driver().destroy(spec.id));
  CHECK(run_inside(twin, "echo alive").output == "alive\n");
}

TEST_CASE_METHOD(machine, "the end of a sandbox shows in its process 1", "[privileged]") {
  auto wanted = spec();
  auto made = create(wanted);
  pollfd item{made.init.get(), POLLIN, 0};
  CHECK(::poll(&item, 1, 0) == 0);
  REQUIRE(driver().destroy(wanted.id));
  CHECK(::poll(&item, 1, 0) == 1);
}

TEST_CASE_METHOD(machine, "nothing of a living sandbox shows in the host's mounts", "[privileged]") {
  auto before = read_small_file("/proc/self/mountinfo");
  create(spec());
  CHECK(read_small_file("/proc/self/mountinfo") == before);
}

TEST_CASE("options that cannot work are refused with a reason", "[privileged]") {
  temporary_directory directory;
  auto options = test_options(directory.path);
  auto refused = [](crun_options changed) {
    auto made = crun_driver::make(std::move(changed));
    REQUIRE_FALSE(made);
    return code_of(made.error());
  };
  auto changed = options;
  changed.data_dir = "relative/path";
  CHECK(refused(changed) == errc::invalid_argument);
  changed.data_dir = "/tmp/" + std::string(longest_data_dir, 'x');
  CHECK(refused(changed) == errc::invalid_argument);
  changed = options;
  changed.guest = "/nonexistent";
  CHECK(refused(changed) == errc::internal);
  changed = options;
  changed.cgroup_parent = "/../escape";
  CHECK(refused(changed) == errc::invalid_argument);
  changed = options;
  for (auto base : {0u, 0xf0000000u}) {
    changed.uid_base = base;
    CHECK(refused(changed) == errc::invalid_argument);
  }
}
