// Containers in sandboxes that Docker's engine makes: what only its driver does.

#include "tests/runtime/container_machine.hpp"
#include "tests/runtime/docker_machine.hpp"

#include "runtime/files.hpp"

#include <sys/stat.h>
#include <unistd.h>

using namespace sandy;
using namespace sandy::runtime;
using namespace sandy::test;

namespace {

using with_docker_container = container_machine<docker_machine>;

std::string box_of(const docker_options& options, const std::string& id) {
  return options.data_dir + "/docker/sandboxes/" + id;
}

} // namespace

TEST_CASE_METHOD(with_docker_container, "docker: what a container sees of its own making", "[privileged]") {
  auto one = make(wanted());
  CHECK(printed(one, "ls -A /.sandy") == "");
  CHECK(printed(one, "grep -c " + options().data_dir + " /proc/self/mountinfo || true") == "0\n");
  CHECK(printed(one, "hostname; cat /etc/hostname /etc/resolv.conf") ==
        "sandbox\nsandbox\nnameserver 127.83.255.253\n");
  CHECK(printed(one, "cp /etc/hosts /root/hosts && mv /root/hosts /etc/hosts && grep -c localhost "
                     "/etc/hosts") == "2\n");
  CHECK(printed(one, "ls /sys/class/net") == "lo\n");
  CHECK(run_inside(one, "mount -t tmpfs none /mnt").exit_code != 0);
  CHECK(run_inside(one, "unshare --user true").exit_code != 0);
  // The limits that programs size themselves by are those that hold, also when they change.
  const std::string limit = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes "
                            "2>/dev/null || true";
  CHECK(printed(one, limit) == std::to_string(about.limits.memory_bytes) + "\n");
  REQUIRE(driver().set_limits(about.id, {512u << 20, 0, 0, 0}));
  CHECK(printed(one, limit) == std::to_string(512u << 20) + "\n");
  CHECK(run_inside(
            one,
            "for each in /sys/fs/cgroup/*/cgroup.procs /sys/fs/cgroup/cgroup.procs /sys/fs/cgroup/new; do "
            "echo 0 > $each && exit 1; done 2>/dev/null; exit 0")
            .exit_code == 0);
  check_nothing_left();
}

TEST_CASE_METHOD(with_docker_container, "docker: a container is one of the engine's, until it ends",
                 "[privileged]") {
  auto what = wanted();
  make(what);
  CHECK(engine().containers(label()).size() == 2);
  CHECK(*driver().list() == std::vector<sandbox_id>{about.id}); // it is no sandbox, and not swept away
  CHECK(engine().containers(label()).size() == 2);
  REQUIRE(driver().destroy_container(about.id, what.id));
  CHECK(engine().containers(label()).size() == 1);
  check_nothing_left();
}

TEST_CASE_METHOD(with_docker_container,
                 "docker: what a killed server left of a container is found and removed", "[privileged]") {
  auto what = wanted();
  SECTION("a note, and a directory") {
    auto notes = box_of(options(), about.id.value) + "/containers";
    REQUIRE(::mkdir(notes.c_str(), 0700) == 0);
    REQUIRE(write_new_file(notes + "/" + what.id.value, ""));
    REQUIRE(::mkdir(box_of(options(), what.id.value).c_str(), 0700) == 0);
  }
  SECTION("a container that is not known to run") {
    make(what);
    REQUIRE(::unlink((box_of(options(), what.id.value) + "/state.json").c_str()) == 0);
    CHECK(code_of(driver().attach_container(about.id, what.id).error()) == errc::container_not_found);
    SECTION("it ends alone") { REQUIRE(driver().destroy_container(about.id, what.id)); }
    SECTION("it ends with its sandbox") {}
  }
  SECTION("one that was given up, by an engine that was slow") {
    make(what);
    auto box = box_of(options(), what.id.value);
    REQUIRE(::rename(box.c_str(), (box + ".gone").c_str()) == 0);
    CHECK(driver().list()->size() == 1);
    CHECK(engine().containers(label()).size() == 1);
    REQUIRE(::rename((box + ".gone").c_str(), box.c_str()) == 0);
  }
  check_nothing_left();
}

TEST_CASE_METHOD(with_docker_container, "docker: a container is refused while the engine is down",
                 "[privileged]") {
  auto before = traces();
  auto changed = options();
  changed.engine_socket = options().data_dir + "/nobody";
  restart(changed);
  auto refused = driver().create_container(wanted());
  REQUIRE_FALSE(refused);
  CHECK(code_of(refused.error()) == errc::capacity_exhausted);
  CHECK(retry_after_of(refused.error()) > 0);
  CHECK(text_of(refused.error()).find(options().data_dir) == std::string::npos); // clients read this
  docker_machine::restart();
  CHECK(driver().containers(about.id)->empty());
  CHECK(traces() == before);
  check_nothing_left();
}
