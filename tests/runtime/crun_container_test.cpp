// Containers in sandboxes that crun makes: what only its driver does.

#include "tests/runtime/container_machine.hpp"
#include "tests/runtime/machine.hpp"

#include "runtime/files.hpp"

#include <sys/stat.h>

using namespace sandy;
using namespace sandy::runtime;
using namespace sandy::test;

namespace {

using with_crun_container = container_machine<machine>;

} // namespace

TEST_CASE_METHOD(with_crun_container, "what a killed server left of a container goes with its sandbox",
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

TEST_CASE_METHOD(with_crun_container, "a container that crun fails to make leaves nothing", "[privileged]") {
  auto before = traces();
  auto changed = options();
  changed.crun = script("broken-crun", "echo no luck >&2; exit 1");
  restart(changed);
  auto made = driver().create_container(wanted());
  CHECK(code_of(made.error()) == errc::sandbox_failed);
  CHECK(driver().containers(about.id)->empty());
  machine::restart();
  check_nothing_left();
}
