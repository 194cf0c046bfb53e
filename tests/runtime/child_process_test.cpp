#include "runtime/child_process.hpp"

#include "runtime/remove_tree.hpp"
#include "runtime/unique_fd.hpp"
#include "tests/runtime/temporary_directory.hpp"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <filesystem>

using namespace sandy;
using namespace sandy::runtime;
using namespace sandy::test;
using namespace std::chrono_literals;

namespace {

child_outcome shell(const std::string& script, std::vector<int> descriptors = {},
                    std::chrono::milliseconds timeout = 20s) {
  auto ran = run_child(
      {{"/bin/sh", "-c", script}, std::move(descriptors), std::chrono::steady_clock::now() + timeout});
  REQUIRE(ran);
  return *ran;
}

unique_fd file_with(const std::string& text) {
  unique_fd file{::memfd_create("test", MFD_CLOEXEC)};
  REQUIRE(::pwrite(file.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
  return file;
}

} // namespace

TEST_CASE("a helper's exit status and complaints are reported", "[child_process]") {
  auto outcome = shell("echo why >&2; exit 7");
  CHECK(outcome.exit_status == 7);
  CHECK(outcome.errors == "why\n");
  CHECK_FALSE(outcome.timed_out);
  CHECK(shell("kill -TERM $$").exit_status == 128 + 15);
}

TEST_CASE("endless complaints neither block a helper nor fill our memory", "[child_process]") {
  auto outcome = shell("head -c 4000000 /dev/zero >&2; exit 3");
  CHECK(outcome.exit_status == 3);
  CHECK(outcome.errors.size() == 16 * 1024);
}

TEST_CASE("a helper gets its descriptors in order, and no other", "[child_process]") {
  auto first = file_with("one"), second = file_with("two");
  // Inheritable by mistake: must not get through all the same.
  auto leaked = file_with("leaked");
  REQUIRE(::fcntl(leaked.get(), F_SETFD, 0) == 0);
  // The shell looks at itself, with nothing of its own open: a redirection of one command would be for a
  // moment.
  auto outcome = shell("exec >&2; cat /proc/self/fd/3 /proc/self/fd/4; "
                       "for n in /proc/self/fd/*; do [ -e $n ] && echo ${n##*/}; done; exit 0",
                       {first.get(), second.get()});
  CHECK(outcome.errors == "onetwo0\n1\n2\n3\n4\n");
}

TEST_CASE("descriptors are placed right when they already have each other's numbers", "[child_process]") {
  auto low = file_with("low"), high = file_with("high");
  // Whatever their numbers are, one of these orders needs a swap.
  CHECK(shell("cat /proc/self/fd/3 /proc/self/fd/4 >&2", {low.get(), high.get()}).errors == "lowhigh");
  CHECK(shell("cat /proc/self/fd/3 /proc/self/fd/4 >&2", {high.get(), low.get()}).errors == "highlow");
}

TEST_CASE("a helper past its deadline is killed", "[child_process]") {
  auto begin = std::chrono::steady_clock::now();
  auto outcome = shell("echo before >&2; exec sleep 100", {}, 200ms);
  CHECK(outcome.timed_out);
  CHECK(outcome.exit_status == 128 + 9);
  CHECK(outcome.errors == "before\n");
  CHECK(std::chrono::steady_clock::now() - begin < 10s);
}

TEST_CASE("children that a helper leaves behind do not hold us up", "[child_process]") {
  auto begin = std::chrono::steady_clock::now();
  CHECK(shell("sleep 3 & echo done >&2").errors == "done\n");
  CHECK(std::chrono::steady_clock::now() - begin < 2s);
}

TEST_CASE("a program that is not there is an error", "[child_process]") {
  auto ran = run_child({{"/nonexistent"}, {}, std::chrono::steady_clock::now() + 1s});
  CHECK(code_of(ran.error()) == errc::sandbox_failed);
}

TEST_CASE("a helper is ended when whoever is asked refuses to let it go on", "[child_process]") {
  int asked = 0;
  child_command command{{"/bin/sleep", "60"}, {}, std::chrono::steady_clock::now() + 60s};
  command.go_on = [&asked]() -> result<void> {
    if (++asked == 2)
      return fail(errc::payload_too_large, "enough");
    return caf::unit;
  };
  auto ran = run_child(command);
  REQUIRE_FALSE(ran);
  CHECK(code_of(ran.error()) == errc::payload_too_large);
  CHECK(asked == 2);
}

TEST_CASE("trees of files are removed however deep they are", "[child_process]") {
  temporary_directory directory;
  const auto top = directory.path + "/top";
  REQUIRE(::mkdir(top.c_str(), 0700) == 0);
  unique_fd at{::open(top.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  for (int i = 0; i < 5000; ++i) {
    REQUIRE(::mkdirat(at.get(), "d", 0700) == 0);
    at.reset(::openat(at.get(), "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  CHECK(remove_tree(top, std::chrono::steady_clock::now() + 20s));
  CHECK_FALSE(std::filesystem::exists(top));
  CHECK(remove_tree(top, std::chrono::steady_clock::now() + 20s)); // there is none
  CHECK_FALSE(remove_tree("/proc/self/status", std::chrono::steady_clock::now() + 20s));
}

TEST_CASE("a helper finds the variables that it is given, and PATH", "[child_process]") {
  child_command command{{"/bin/sh", "-c", "echo $GIVEN $PATH >&2"}, {}, {}};
  command.deadline = std::chrono::steady_clock::now() + 20s;
  command.environment = {"GIVEN=this"};
  auto ran = run_child(command);
  REQUIRE(ran);
  CHECK(ran->errors.starts_with("this /usr/local/sbin:"));
}
