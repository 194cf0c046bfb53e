#include "runtime/crun/layout.hpp"
#include "runtime/driver.hpp"
#include "runtime/files.hpp"
#include "runtime/image_store.hpp"
#include "tests/runtime/temporary_directory.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <sys/stat.h>

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

TEST_CASE_METHOD(images, "an image says what it runs, and as whom, where its configuration can be read",
                 "[image_store]") {
  auto describe = [&](const std::string& name, const std::string& document) {
    add(name, true, false);
    REQUIRE(write_new_file(path + "/" + name + "/image.json", document));
  };
  describe("served", R"({"config": {"Entrypoint": ["/serve"], "Cmd": ["--fast", ""], "User": "app:video"}})");
  describe("odd", R"({"config": {"Entrypoint": "serve", "Cmd": [7], "User": 5}})");
  add("plain");
  image_store store{path};
  auto served = store.program_of("served");
  REQUIRE(served);
  CHECK(served->entrypoint == std::vector<std::string>{"/serve"});
  CHECK(served->command == std::vector<std::string>{"--fast", ""});
  CHECK(served->user == "app:video");
  for (const auto* name : {"odd", "plain"}) {
    auto program = store.program_of(name);
    REQUIRE(program);
    CHECK(program->entrypoint.empty());
    CHECK(program->command.empty());
    CHECK(program->user.empty());
  }
  CHECK(code_of(store.program_of("none").error()) == errc::image_not_found);
}

TEST_CASE_METHOD(images, "a program is found in any image, also as a link to what is inside alone",
                 "[image_store]") {
  add("basic");
  add("more");
  std::filesystem::create_directories(path + "/more/rootfs/usr/local/bin");
  std::filesystem::create_symlink("/opt/tools/agent", path + "/more/rootfs/usr/local/bin/agent");
  image_store store{path};
  CHECK(store.has_program("agent"));
  for (int i = 0; i < 2; ++i) {
    CHECK(store.has_program("agent", store.find("more")->version));
    CHECK_FALSE(store.has_program("agent", store.find("basic")->version));
  }
  CHECK_FALSE(store.has_program("agent", "gone/rootfs"));
  for (auto name : {"", "other", "../bin/agent", "local/bin/agent"})
    CHECK_FALSE(store.has_program(name));
}

namespace {

struct layered_images : images {
  /// Adds a layer with a file in it.
  void add_layer(const std::string& name, const std::string& file = "usr/bin/x") {
    auto whole = std::filesystem::path{path + "/" + name + "/tree/" + file};
    std::filesystem::create_directories(whole.parent_path());
    REQUIRE(write_new_file(whole, ""));
  }
  void describe(const std::string& name, const nlohmann::json& layers) {
    add(name, true, false);
    REQUIRE(write_new_file(path + "/" + name + "/image.json", nlohmann::json{{"layers", layers}}.dump()));
  }
  errc refusal(const image_store& store, const std::string& name) {
    auto all = store.trees(store.find(name)->version);
    return all ? errc{} : code_of(all.error());
  }
};

} // namespace

TEST_CASE_METHOD(layered_images, "an image's trees are its layers and what lies on them", "[image_store]") {
  add("alone");
  add_layer(".layer-low-1");
  add_layer(".layer-high-2");
  describe("stacked", {".layer-low-1", ".layer-high-2"});
  image_store store{path};
  auto alone = store.trees(store.find("alone")->version);
  REQUIRE(alone);
  CHECK(*alone == std::vector<std::string>{path + "/alone/rootfs"});
  auto stacked = store.trees(store.find("stacked")->version);
  REQUIRE(stacked);
  CHECK(*stacked == std::vector<std::string>{path + "/.layer-low-1/tree", path + "/.layer-high-2/tree",
                                             path + "/stacked/rootfs"});
  std::filesystem::remove_all(path + "/.layer-low-1");
  CHECK(refusal(store, "stacked") == errc::image_not_found);
  CHECK(code_of(store.trees("").error()) == errc::image_not_found);
  CHECK(code_of(store.trees("gone/rootfs").error()) == errc::image_not_found);
}

TEST_CASE_METHOD(layered_images, "what cannot be layers of the store makes no image", "[image_store]") {
  add_layer(".layer-1");
  std::filesystem::create_directories(path + "/outside/tree");
  auto most = nlohmann::json::array();
  for (int i = 1; i < most_image_trees; ++i)
    most.push_back(".layer-1");
  describe("most", most);
  auto one_more = most;
  one_more.push_back(".layer-1");
  std::vector<nlohmann::json> wrong{one_more,
                                    nlohmann::json{".layer-2"},
                                    nlohmann::json{""},
                                    nlohmann::json{".."},
                                    nlohmann::json{"."},
                                    nlohmann::json{"../outside"},
                                    nlohmann::json{"/etc"},
                                    nlohmann::json{"a:b"},
                                    nlohmann::json{std::string("a\0b", 3)},
                                    nlohmann::json{std::string(300, 'a')},
                                    nlohmann::json::array({7}),
                                    ".layer-1",
                                    nlohmann::json::object(),
                                    nullptr};
  for (std::size_t i = 0; i < wrong.size(); ++i)
    describe("wrong" + std::to_string(i), wrong[i]);
  add("broken", true, false);
  REQUIRE(write_new_file(path + "/broken/image.json", "{\"layers\": ["));
  image_store store{path};
  CHECK(store.trees(store.find("most")->version));
  CHECK(refusal(store, "broken") == errc::image_not_found);
  for (std::size_t i = 0; i < wrong.size(); ++i) {
    INFO(wrong[i].dump());
    CHECK(refusal(store, "wrong" + std::to_string(i)) == errc::image_not_found);
  }
}

TEST_CASE_METHOD(layered_images, "a program is found in the layers of an image, but for one that was removed",
                 "[image_store]") {
  add_layer(".layer-low", "usr/bin/kept");
  add_layer(".layer-low", "usr/bin/hidden");
  add_layer(".layer-high", "usr/local/bin/more");
  // What overlayfs has for a removed file. Any user may make one.
  std::filesystem::create_directories(path + "/.layer-high/tree/usr/bin");
  REQUIRE(::mknod((path + "/.layer-high/tree/usr/bin/hidden").c_str(), S_IFCHR, 0) == 0);
  describe("stacked", {".layer-low", ".layer-high"});
  image_store store{path};
  CHECK(store.has_program("kept"));
  CHECK(store.has_program("more"));
  CHECK_FALSE(store.has_program("hidden"));
}

TEST_CASE_METHOD(images, "a store knows who may stand on its images", "[image_store]") {
  image_store store{path + "/new"};
  store.add_user("one", "/data/one");
  store.add_user("two", "/data/two");
  store.add_user("one", "/data/one");
  CHECK(std::filesystem::read_symlink(path + "/new/.users/one") == "/data/one");
  store.remove_user("one");
  store.remove_user("one");
  CHECK(names_in(path + "/new/.users") == std::vector<std::string>{"two"});
  CHECK(store.list().empty());
}

TEST_CASE("a store that does not exist has no images", "[image_store]") {
  image_store store{"/nonexistent"};
  CHECK(store.list().empty());
  CHECK(code_of(store.find("basic").error()) == errc::image_not_found);
}
