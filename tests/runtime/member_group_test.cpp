// Groups of processes on the control groups that this machine has: v1, v2, or both beside each other.

#include "runtime/cgroup.hpp"
#include "runtime/files.hpp"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace sandy;
using namespace sandy::runtime;
using namespace std::chrono_literals;

namespace {

steady_time in(std::chrono::milliseconds time) { return std::chrono::steady_clock::now() + time; }

std::vector<cgroup_layout> layouts() {
  std::vector<cgroup_layout> all;
  for (auto root : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"})
    if (auto found = cgroup_layout::detect(root))
      all.push_back(std::move(*found));
  return all;
}

/// A process that joins a group, and one that it started, which left its session and lost its parent.
class joined {
public:
  explicit joined(const unique_fd& group) {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1); // whoever loses its parent is ours to reap
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    unique_fd reader{ends[0]}, writer{ends[1]};
    auto first = ::fork();
    if (first == 0) {
      if (::write(group.get(), "0", 1) == 1 && ::fork() == 0) {
        ::setsid();
        if (::write(writer.get(), "x", 1) == 1)
          for (;;)
            ::pause();
      }
      ::_exit(0);
    }
    ::waitpid(first, nullptr, 0);
    writer.reset();
    char byte = 0;
    REQUIRE(::read(reader.get(), &byte, 1) == 1);
    held_ = std::move(reader);
  }
  /// Whether it ends within that time.
  bool ends(std::chrono::milliseconds within) {
    pollfd item{held_.get(), POLLIN, 0};
    return ::poll(&item, 1, static_cast<int>(within.count())) == 1; // nobody can write any more
  }

private:
  unique_fd held_;
};

struct member_groups {
  member_groups()
      : kind(GENERATE(range(0, 2))) {}
  ~member_groups() {
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
  }

  int kind;
  std::vector<cgroup_layout> all = layouts();
};

} // namespace

TEST_CASE_METHOD(member_groups, "who joined a group is killed with it, wherever it hid", "[privileged]") {
  if (static_cast<std::size_t>(kind) >= all.size())
    return; // this machine has one kind of control groups
  const auto& layout = all[static_cast<std::size_t>(kind)];
  cgroup outer{layout, "/sandy-test-" + std::to_string(::getpid())};
  auto made = outer.make_member_group();
  REQUIRE(made);
  auto one = outer.below("one"), two = outer.below("two");
  auto first = one.make_member_group(), second = two.make_member_group();
  REQUIRE(first);
  REQUIRE(second);
  joined victim{*first}, bystander{*second};
  CHECK(one.processes().size() == 1);
  CHECK(outer.processes().size() == 2);

  SECTION("alone") { REQUIRE(one.kill_all(in(5s))); }
  SECTION("frozen with all that is around it") {
    REQUIRE(outer.freeze(in(5s)));
    // With v1 what is frozen does not die, however long one waits.
    const auto v1 = layout.kind() == cgroup_layout::version::v1;
    auto killed = one.kill_all(v1 ? in(20ms) : in(5s));
    CHECK((killed || v1));
    CHECK(outer.frozen());
    outer.thaw();
    CHECK(one.kill_all(in(5s)));
  }
  SECTION("left frozen by whoever was about to kill it") {
    REQUIRE(one.freeze(in(5s)));
    outer.thaw();
    CHECK_FALSE(one.frozen());
    REQUIRE(one.kill_all(in(5s)));
  }
  CHECK(victim.ends(5s));
  CHECK_FALSE(bystander.ends(0ms));
  outer.remove_empty_below(in(1s));
  CHECK_FALSE(one.exists());
  CHECK(two.exists());
  REQUIRE(outer.kill_all(in(5s)));
  CHECK(bystander.ends(5s));
  REQUIRE(outer.remove(in(5s)));
  CHECK_FALSE(outer.exists());
  CHECK(::write(first->get(), "0", 1) == -1); // nobody joins any more
  CHECK(code_of(one.make_member_group().error()) == errc::sandbox_not_found);
}

TEST_CASE_METHOD(member_groups, "a process is moved into a group, and into all that bounds it",
                 "[privileged]") {
  if (static_cast<std::size_t>(kind) >= all.size())
    return;
  const auto& layout = all[static_cast<std::size_t>(kind)];
  const auto path = "/sandy-test-" + std::to_string(::getpid());
  cgroup outer{layout, path};
  for (const auto& tree : layout.trees()) {
    REQUIRE(::mkdir((tree + path).c_str(), 0755) == 0);
    for (std::string name : {"/cpuset.cpus", "/cpuset.mems"}) // v1: nobody joins one without
      if (auto whole = read_small_file(tree + name); whole && layout.kind() == cgroup_layout::version::v1)
        write_control_file(tree + path + name, *whole);
  }
  auto one = outer.below("one");
  REQUIRE(one.make_member_group());
  auto child = ::fork();
  if (child == 0)
    for (;;)
      ::pause();
  CHECK(one.take_in(child));
  CHECK(one.processes() == std::vector<pid_t>{child});
  for (const auto& tree : layout.trees()) {
    INFO(tree);
    auto there = tree + path + (tree == layout.tree("freezer") ? "/one" : "") + "/cgroup.procs";
    CHECK(read_small_file(there) == std::to_string(child) + "\n");
  }
  CHECK(outer.kill_all(in(5s)));
  CHECK(::waitpid(child, nullptr, 0) == child);
  CHECK(code_of(one.take_in(child).error()) == errc::sandbox_not_found);
  REQUIRE(outer.remove(in(5s)));
  CHECK(code_of(one.take_in(::getpid()).error()) == errc::sandbox_not_found);
}
