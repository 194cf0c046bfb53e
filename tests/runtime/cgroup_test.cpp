#include "runtime/cgroup.hpp"
#include "runtime/files.hpp"
#include "tests/runtime/temporary_directory.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::runtime;
using namespace sandy::test;

namespace {

const auto soon = [] { return std::chrono::steady_clock::now() + std::chrono::seconds{1}; };

/// A directory tree that looks like control groups. What the kernel would do on a write it does not do; what
/// we write where can be read back.
struct fake_tree : temporary_directory {
  void put(const std::string& name, const std::string& text) {
    auto file = std::filesystem::path{path} / name;
    std::filesystem::create_directories(file.parent_path());
    REQUIRE(write_new_file(file, text));
  }
  std::string get(const std::string& name) const {
    return read_small_file(path + "/" + name).value_or("(none)");
  }

  void make_v2() {
    put("cgroup.controllers", "cpu memory pids\n");
    for (auto name : {"memory.max", "cpu.max", "pids.max", "cgroup.freeze", "cgroup.procs"})
      put(std::string{"sandy/one/"} + name, "");
  }
  void make_v1() {
    for (auto name : {"memory", "pids", "cpu", "cpuacct", "freezer", "devices", "systemd"})
      put(std::string{name} + "/cgroup.procs", "");
    put("unified/cgroup.controllers", "hugetlb\n");
    put("unified/cgroup.procs", "");
    put("memory/memory.memsw.limit_in_bytes", "");
    put("memory/sandy/one/memory.limit_in_bytes", "1000");
    put("memory/sandy/one/memory.memsw.limit_in_bytes", "1000");
    put("cpu/sandy/one/cpu.cfs_quota_us", "");
    put("pids/sandy/one/pids.max", "");
  }
};

cgroup_layout detected(const fake_tree& tree) {
  auto layout = cgroup_layout::detect(tree.path);
  REQUIRE(layout);
  return *layout;
}

} // namespace

TEST_CASE_METHOD(fake_tree, "one tree with controllers is v2", "[cgroup]") {
  make_v2();
  auto layout = detected(*this);
  CHECK(layout.kind() == cgroup_layout::version::v2);
  CHECK(layout.trees() == std::vector<std::string>{path});
  CHECK(layout.tree("memory") == path);
  CHECK(layout.swap_accounting());
}

TEST_CASE_METHOD(fake_tree, "a v2 tree beside those of v1 is left alone", "[cgroup]") {
  make_v1();
  auto layout = detected(*this);
  CHECK(layout.kind() == cgroup_layout::version::v1);
  CHECK(layout.trees().size() == 7);
  CHECK(layout.tree("memory") == path + "/memory");
  CHECK(layout.tree("hugetlb").empty());
  CHECK(layout.swap_accounting());
}

TEST_CASE_METHOD(fake_tree, "controllers may share a tree", "[cgroup]") {
  for (auto name : {"memory", "pids", "cpu,cpuacct", "freezer", "devices"})
    put(std::string{name} + "/cgroup.procs", "");
  std::filesystem::create_directory_symlink("cpu,cpuacct", path + "/cpu");
  auto layout = detected(*this);
  CHECK(layout.trees().size() == 5);
  CHECK(layout.tree("cpu") == path + "/cpu,cpuacct");
  CHECK(layout.tree("cpuacct") == layout.tree("cpu"));
  CHECK_FALSE(layout.swap_accounting());
}

TEST_CASE_METHOD(fake_tree, "a machine without control groups is told", "[cgroup]") {
  CHECK(code_of(cgroup_layout::detect(path).error()) == errc::internal);
  CHECK(code_of(cgroup_layout::detect(path + "/missing").error()) == errc::internal);
}

TEST_CASE_METHOD(fake_tree, "v2: use is read from its files", "[cgroup]") {
  make_v2();
  put("sandy/one/cpu.stat", "usage_usec 1234\nuser_usec 1000\n");
  put("sandy/one/memory.current", "4096\n");
  put("sandy/one/memory.events", "low 0\noom 7\noom_kill 3\n");
  put("sandy/one/pids.current", "2\n");
  auto layout = detected(*this);
  auto use = cgroup{layout, "/sandy/one"}.usage();
  REQUIRE(use);
  CHECK(use->cpu_usec == 1234);
  CHECK(use->memory_bytes == 4096);
  CHECK(use->oom_kills == 3);
  CHECK(use->pids == 2);
  CHECK(code_of(cgroup{layout, "/sandy/two"}.usage().error()) == errc::sandbox_not_found);
}

TEST_CASE_METHOD(fake_tree, "v1: use is read from its files", "[cgroup]") {
  make_v1();
  put("cpuacct/sandy/one/cpuacct.usage", "5000999\n");
  put("memory/sandy/one/memory.usage_in_bytes", "8192\n");
  put("memory/sandy/one/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n");
  put("pids/sandy/one/pids.current", "9\n");
  auto layout = detected(*this);
  auto use = cgroup{layout, "/sandy/one"}.usage();
  REQUIRE(use);
  CHECK(use->cpu_usec == 5000);
  CHECK(use->memory_bytes == 8192);
  CHECK(use->oom_kills == 4);
  CHECK(use->pids == 9);
}

TEST_CASE_METHOD(fake_tree, "v2: a group is frozen when the kernel says so, and thaws", "[cgroup]") {
  make_v2();
  put("sandy/one/cgroup.events", "populated 1\nfrozen 1\n");
  auto layout = detected(*this);
  cgroup group{layout, "/sandy/one"};
  CHECK_FALSE(group.frozen());
  CHECK(group.freeze(std::chrono::steady_clock::now()));
  CHECK(get("sandy/one/cgroup.freeze") == "1");
  CHECK(group.frozen());
  group.thaw();
  CHECK(get("sandy/one/cgroup.freeze") == "0");
}

TEST_CASE_METHOD(fake_tree, "a group that does not freeze in time runs on", "[cgroup]") {
  make_v2();
  put("sandy/one/cgroup.events", "populated 1\nfrozen 0\n");
  auto layout = detected(*this);
  cgroup group{layout, "/sandy/one"};
  CHECK(code_of(group.freeze(std::chrono::steady_clock::now()).error()) == errc::internal);
  CHECK(get("sandy/one/cgroup.freeze") == "0");
  CHECK(code_of(cgroup{layout, "/sandy/two"}.freeze({}).error()) == errc::sandbox_not_found);
}

TEST_CASE_METHOD(fake_tree, "v1: a group is frozen through its controller", "[cgroup]") {
  make_v1();
  put("freezer/sandy/one/freezer.state", "THAWED\n");
  auto layout = detected(*this);
  cgroup group{layout, "/sandy/one"};
  CHECK_FALSE(group.frozen());
  CHECK(group.freeze(std::chrono::steady_clock::now()));
  CHECK(get("freezer/sandy/one/freezer.state").starts_with("FROZEN"));
  CHECK(group.frozen());
  group.thaw();
  CHECK(get("freezer/sandy/one/freezer.state").starts_with("THAWED"));
}

TEST_CASE_METHOD(fake_tree, "v2: limits are written to its files", "[cgroup]") {
  make_v2();
  auto layout = detected(*this);
  cgroup group{layout, "/sandy/one"};
  REQUIRE(group.set_limits({1 << 20, 500, 64, 0}));
  CHECK(get("sandy/one/memory.max") == "1048576");
  CHECK(get("sandy/one/cpu.max") == "50000 100000");
  CHECK(get("sandy/one/pids.max") == "64");
  CHECK(code_of(cgroup{layout, "/sandy/two"}.set_limits({1, 1, 1, 1}).error()) == errc::sandbox_not_found);
}

TEST_CASE_METHOD(fake_tree, "v1: limits are written to its files, those that are zero are left", "[cgroup]") {
  make_v1();
  auto layout = detected(*this);
  cgroup group{layout, "/sandy/one"};
  REQUIRE(group.set_limits({9000, 0, 0, 0}));
  CHECK(get("memory/sandy/one/memory.limit_in_bytes") == "9000");
  CHECK(get("memory/sandy/one/memory.memsw.limit_in_bytes") == "9000");
  CHECK(get("cpu/sandy/one/cpu.cfs_quota_us") == "");
  REQUIRE(group.set_limits({0, 5, 7, 0}));
  CHECK(get("cpu/sandy/one/cpu.cfs_quota_us") == "1000"); // the least the kernel takes
  CHECK(get("pids/sandy/one/pids.max") == "7");
  CHECK(get("memory/sandy/one/memory.limit_in_bytes") == "9000");
}

TEST_CASE_METHOD(fake_tree, "v2: a group is removed with what is nested in it, and removing it again is fine",
                 "[cgroup]") {
  put("cgroup.controllers", "");
  std::filesystem::create_directories(path + "/sandy/one/nested/deep");
  auto layout = detected(*this);
  cgroup group{layout, "/sandy/one"};
  CHECK(group.exists());
  REQUIRE(group.remove(soon()));
  CHECK_FALSE(group.exists());
  CHECK(group.remove(soon()));
  CHECK(std::filesystem::exists(path + "/sandy"));
}

TEST_CASE_METHOD(fake_tree, "an empty group has nothing to kill, and a process outside is not in it",
                 "[cgroup]") {
  make_v2();
  auto layout = detected(*this);
  cgroup group{layout, "/sandy/one"};
  CHECK(group.processes().empty());
  CHECK(group.kill_all(soon()));
  CHECK_FALSE(group.contains(::getpid()));
  put("sandy/one/cgroup.procs",
      "0\n1\n"); // never ours to kill: somebody outside our namespace, and process 1
  CHECK(group.processes().empty());
}

TEST_CASE("a share of a core is a quota of 100 ms", "[cgroup]") {
  CHECK(cpu_quota_usec(1000) == 100'000);
  CHECK(cpu_quota_usec(250) == 25'000);
  CHECK(cpu_quota_usec(64'000) == 6'400'000);
  CHECK(cpu_quota_usec(0) == 1000);
}
