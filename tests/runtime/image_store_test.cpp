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

TEST_CASE("a store that does not exist has no images", "[image_store]") {
  image_store store{"/nonexistent"};
  CHECK(store.list().empty());
  CHECK(code_of(store.find("basic").error()) == errc::image_not_found);
}
