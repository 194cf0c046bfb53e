#include "tests/runtime/inside.hpp"
#include "tests/runtime/machine.hpp"

#include "runtime/crun/layout.hpp"
#include "runtime/files.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>

using namespace sandy;
using namespace sandy::runtime;
using namespace sandy::test;

namespace {

/// An image store of its own, with the image "basic" of this machine as the lowest layers of "stacked".
struct stacked_image : machine {
  stacked_image()
      : layers(nlohmann::json::array()) {
    image_store installed{options().image_dir};
    auto trees = installed.trees(installed.find("basic")->version);
    REQUIRE(trees);
    for (const auto& tree : *trees)
      std::filesystem::create_directory_symlink(std::filesystem::canonical(tree), new_layer() + "/tree");
    std::filesystem::create_directories(store.path + "/stacked/rootfs");
  }

  /// The directory of one more layer, above the others.
  std::string new_layer() {
    auto name = ".layer-" + std::to_string(layers.size());
    layers.push_back(name);
    std::filesystem::create_directory(store.path + "/" + name);
    return store.path + "/" + name;
  }

  /// Runs a script in a sandbox of the image as it is now.
  std::string output_of(const std::string& script) {
    auto description = nlohmann::json{{"layers", layers}}.dump();
    REQUIRE(write_new_file(store.path + "/stacked/image.json", description));
    auto changed = options();
    changed.image_dir = store.path;
    restart(changed);
    auto wanted = spec();
    wanted.image = "stacked";
    auto ran = run_inside(create(wanted), script);
    INFO(script << '\n' << ran.errors);
    REQUIRE(ran.failure == "");
    REQUIRE(ran.exit_code == 0);
    return ran.output;
  }

  temporary_directory store;
  nlohmann::json layers;
};

} // namespace

TEST_CASE_METHOD(stacked_image, "a sandbox has what the layers of its image make together", "[privileged]") {
  auto low = new_layer() + "/tree", high = new_layer() + "/tree", top = store.path + "/stacked/rootfs";
  for (const auto& directory :
       {low + "/opt/kept", low + "/opt/replaced", high + "/opt/replaced", high + "/etc", top + "/opt"})
    std::filesystem::create_directories(directory);
  for (const auto& file :
       {low + "/opt/kept/one", low + "/opt/replaced/old", high + "/opt/replaced/new", top + "/opt/last"})
    REQUIRE(write_new_file(file, file.substr(store.path.size())));
  REQUIRE(::chown((low + "/opt/kept/one").c_str(), 1000, 1001) == 0);
  // As overlayfs keeps a file that was removed, and a directory that was removed and made again.
  REQUIRE(::mknod((high + "/etc/debian_version").c_str(), S_IFCHR, 0) == 0);
  REQUIRE(::setxattr((high + "/opt/replaced").c_str(), "trusted.overlay.opaque", "y", 1, 0) == 0);
  CHECK(output_of("cat /opt/kept/one; stat -c ' %u:%g' /opt/kept/one; ls /opt/replaced; cat /opt/last; echo; "
                  "test ! -e /etc/debian_version && test -e /etc/passwd && echo whole; rm -r /opt/kept && "
                  "touch /opt/kept") ==
        low.substr(store.path.size()) + "/opt/kept/one 1000:1001\nnew\n/stacked/rootfs/opt/last\nwhole\n");
  CHECK(names_in(low + "/opt/kept") == std::vector<std::string>{"one"});
}

TEST_CASE_METHOD(stacked_image, "an image may have as many trees as the bound", "[privileged]") {
  std::string all;
  while (layers.size() + 1 < most_image_trees) {
    auto number = std::to_string(layers.size());
    std::filesystem::create_directories(new_layer() + "/tree/opt/" + number);
    all += number + "\n";
  }
  CHECK(output_of("ls /opt | grep -v sandy | sort -n") == all);
}
