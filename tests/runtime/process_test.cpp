#include "runtime/files.hpp"
#include "runtime/process.hpp"
#include "tests/runtime/temporary_directory.hpp"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace sandy;
using namespace sandy::runtime;
using namespace std::chrono_literals;

namespace {

/// A process with a misleading name.
pid_t start_sleeper() {
  auto pid = ::fork();
  if (pid == 0) {
    ::prctl(PR_SET_NAME, ") 1 2 3 (");
    ::pause();
    ::_exit(0);
  }
  return pid;
}

auto in(std::chrono::milliseconds time) { return std::chrono::steady_clock::now() + time; }

} // namespace

TEST_CASE("a process is known by when it started", "[process]") {
  auto pid = start_sleeper();
  auto own = process_start_ticks(::getpid()), its = process_start_ticks(pid);
  REQUIRE(own);
  REQUIRE(its);
  CHECK(*its >= *own);
  CHECK(*its < *own + 100'000);
  auto pidfd = open_pidfd(pid);
  REQUIRE(pidfd);
  CHECK_FALSE(wait_for_exit(pidfd->get(), in(20ms)));
  kill_process(pidfd->get());
  CHECK(wait_for_exit(pidfd->get(), in(5s))); // and reaped:
  CHECK(::waitpid(pid, nullptr, 0) == -1);
  CHECK_FALSE(process_start_ticks(pid));
  CHECK_FALSE(open_pidfd(pid));
}

TEST_CASE("who holds a file is found", "[process]") {
  test::temporary_directory directory;
  auto path = directory.path + "/file";
  REQUIRE(write_new_file(path, "x"));
  CHECK(processes_holding(path).empty());
  unique_fd file{::open(path.c_str(), O_RDONLY)};
  CHECK(processes_holding(path).empty()); // we do not count
  auto pid = start_sleeper();
  CHECK(processes_holding(path) == std::vector<pid_t>{pid});
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  CHECK(processes_holding(path).empty());
}

TEST_CASE("time until a deadline is never negative and rounds up", "[process]") {
  CHECK(milliseconds_until(in(-1h)) == 0);
  CHECK(milliseconds_until(std::chrono::steady_clock::now() + 300us) <= 1);
  CHECK(milliseconds_until(in(10s)) > 9000);
  CHECK(milliseconds_until(in(100h)) == 1'000'000);
}

TEST_CASE("small files are read whole, or up to the limit", "[files]") {
  test::temporary_directory directory;
  auto path = directory.path + "/file";
  std::string text(10'000, 'x');
  REQUIRE(write_new_file(path, text));
  CHECK(read_small_file(path) == text);
  CHECK(read_small_file(path, 5000)->size() == 5000);
  CHECK_FALSE(read_small_file(directory.path + "/missing"));
  CHECK(write_control_file(directory.path + "/missing", "x") == ENOENT);
  CHECK(names_in(directory.path) == std::vector<std::string>{"file"});
  CHECK(names_in(directory.path + "/missing").empty());
  CHECK(directories_in(directory.path).empty());
}
