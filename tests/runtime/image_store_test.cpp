#include "runtime/files.hpp"
#include "runtime/image_store.hpp"
#include "tests/runtime/temporary_directory.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::runtime;
using namespace sandy::test;

namespace {

struct images : temporary_directory {
  void add(const std::string& name, bool rootfs = true, bool description = true) {
    std::filesystem::create_directories(path + "/" + name + (rootfs ? "/rootfs" : ""));
    if (description)
      REQUIRE(write_new_file(path + "/" + name + "/image.json", "{}"));
  }
};

} // namespace

TEST_CASE_METHOD(images, "complete images are found and listed", "[image_store]") {
  add("basic");
  add("vite-5.x_test");
  add("no-description", true, false);
  add("no-rootfs", false, true);
  add(".building");
  add("Upper");
  image_store store{path};
  CHECK(store.list() == std::vector<std::string>{"basic", "vite-5.x_test"});
  auto found = store.find("basic");
  REQUIRE(found);
  CHECK(found->name == "basic");
  CHECK(found->rootfs == path + "/basic/rootfs");
  for (auto name : {"no-description", "no-rootfs", ".building", "Upper", "missing", "", "..", ".", "basic/",
                    "a/b", "basic\n"}) {
    INFO(name);
    CHECK(code_of(store.find(name).error()) == errc::image_not_found);
  }
  CHECK(code_of(store.find(std::string(4096, 'a')).error()) == errc::image_not_found);
}

TEST_CASE_METHOD(images, "an image's variables are those that its description names", "[image_store]") {
  add("plain");
  add("rich", true, false);
  REQUIRE(write_new_file(
      path + "/rich/image.json",
      R"({"environment": {"A": "1", "B": "two words", "wrong": 3, "not=a name": "x", "": "y"}, "name": "rich"})"));
  add("broken", true, false);
  REQUIRE(write_new_file(path + "/broken/image.json", "[1"));
  image_store store{path};
  CHECK(store.variables(store.find("plain")->version).empty());
  CHECK(store.variables(store.find("broken")->version).empty());
  CHECK(store.variables("gone/rootfs").empty());
  for (int i = 0; i < 2; ++i)
    CHECK(store.variables(store.find("rich")->version) == environment{{"A", "1"}, {"B", "two words"}});
}

TEST_CASE_METHOD(images, "a program is found in any image, also as a link to what is inside alone",
                 "[image_store]") {
  add("basic");
  add("more");
  std::filesystem::create_directories(path + "/more/rootfs/usr/local/bin");
  std::filesystem::create_symlink("/opt/tools/agent", path + "/more/rootfs/usr/local/bin/agent");
  image_store store{path};
  CHECK(store.has_program("agent"));
  for (auto name : {"", "other", "../bin/agent", "local/bin/agent"})
    CHECK_FALSE(store.has_program(name));
}

TEST_CASE("a store that does not exist has no images", "[image_store]") {
  image_store store{"/nonexistent"};
  CHECK(store.list().empty());
  CHECK(code_of(store.find("basic").error()) == errc::image_not_found);
}
