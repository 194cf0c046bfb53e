#include "tests/runtime/oci_archives.hpp"
#include "tests/runtime/temporary_directory.hpp"

#include "runtime/crun/layer_store.hpp"
#include "runtime/files.hpp"
#include "runtime/oci/importer.hpp"

#include <catch2/catch.hpp>

#include <sys/file.h>
#include <sys/stat.h>

#include <fcntl.h>

#include <filesystem>
#include <thread>

using namespace sandy;
using namespace sandy::runtime;
using namespace sandy::test;
using nlohmann::json;

namespace {

/// An image store of its own, and what imports into it with the real helper.
struct imports {
  imports() {
    std::filesystem::create_directories(store + "/.users");
    std::filesystem::create_directories(data + "/sandboxes");
    std::filesystem::create_directory_symlink(data, store + "/.users/server");
    options.image_dir = store;
    options.program = SANDY_IMPORT_IMAGE_PATH;
    options.directories = {scratch.path + "/allowed"};
    std::filesystem::create_directory(scratch.path + "/allowed");
  }

  /// Imports an archive through the pipe; @returns what it failed with.
  errc imports_as(const std::string& name, const std::string& bytes) {
    oci::importer from{options};
    auto begun = from.begin(name, {});
    if (!begun)
      return code_of(begun.error());
    auto& one = **begun;
    std::thread writer{[&] { write(std::move(one.archive), bytes); }};
    std::thread reader{[&] { told = read(std::move(one.progress)); }};
    auto made = one.finish();
    writer.join();
    reader.join();
    complaint = made ? "" : text_of(made.error());
    if (made)
      last = *made;
    return made ? errc::none : code_of(made.error());
  }

  static void write(unique_fd to, std::string_view bytes) {
    ::fcntl(to.get(), F_SETFL, 0); // waits, as a coroutine would
    while (!bytes.empty()) {
      auto count = ::write(to.get(), bytes.data(), bytes.size());
      if (count <= 0)
        return;
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
  }

  static std::string read(unique_fd from) {
    ::fcntl(from.get(), F_SETFL, 0);
    std::string all;
    char buffer[4096];
    for (ssize_t count; (count = ::read(from.get(), buffer, sizeof buffer)) > 0;)
      all.append(buffer, static_cast<std::size_t>(count));
    return all;
  }

  std::vector<std::string> names(std::string_view prefix) {
    auto all = names_in(store);
    std::erase_if(all, [&](const auto& each) { return !each.starts_with(prefix); });
    std::sort(all.begin(), all.end());
    return all;
  }

  /// A sandbox that stands on the image as it is now.
  void stand_on(const std::string& name, const std::string& sandbox) {
    auto directory = data + "/sandboxes/" + sandbox;
    std::filesystem::create_directory(directory);
    REQUIRE(write_origin(directory + "/origin.json", {images().find(name)->version, {}}));
  }

  image_store images() const { return image_store{store}; }

  temporary_directory scratch;
  std::string store = scratch.path + "/images", data = scratch.path + "/data";
  oci::importer_options options;
  oci::published_images published{store};
  image_info last;
  std::string told, complaint;
};

test_image image_of(std::vector<std::string> layers, json config = json::object()) {
  test_image made;
  made.layers = std::move(layers);
  made.config = std::move(config);
  return made;
}

const std::string low = tar_of({{"etc/", 'd'}, {"etc/low", 'f', "low"}}),
                  high = tar_of({{"high", 'f', "high"}}), other = tar_of({{"other", 'f', "other"}});

} // namespace

TEST_CASE_METHOD(imports, "an archive becomes an image of the store", "[oci][privileged]") {
  auto image = image_of({low, high}, {{"Env", {"A=1", "B=2=3"}},
                                      {"WorkingDir", "/srv"},
                                      {"Cmd", {"serve"}},
                                      {"ExposedPorts", {{"8080/tcp", json::object()}}}});
  REQUIRE(imports_as("mine", archive_of(image.oci_files())) == errc::none);
  CHECK(last.name == "mine");
  CHECK(last.imported);
  CHECK(last.size_bytes > 0);
  CHECK(last.layers == std::vector<std::string>{"sha256:" + sha256_of(low), "sha256:" + sha256_of(high)});
  auto found = images().find("mine");
  REQUIRE(found);
  auto trees = images().trees(found->version);
  REQUIRE(trees);
  REQUIRE(trees->size() == 3);
  CHECK(read_small_file(trees->at(0) + "/etc/low") == "low");
  CHECK(read_small_file(trees->at(1) + "/high") == "high");
  CHECK(images().variables(found->version) == environment{{"A", "1"}, {"B", "2=3"}});
  CHECK(images().working_directory(found->version) == "/srv");
  auto about = json::parse(*read_small_file(store + "/mine/image.json"));
  CHECK(about["config"]["Cmd"] == json{"serve"});
  CHECK(about["config"]["ExposedPorts"].contains("8080/tcp"));
  CHECK(told.find("\"state\":\"unpacked\"") != std::string::npos);
  CHECK(names(".import-").empty());
  struct stat layer{};
  REQUIRE(::stat((store + "/.layer-sha256-" + sha256_of(low)).c_str(), &layer) == 0);
  CHECK((layer.st_mode & 0777) == 0700); // nobody else's business
}

TEST_CASE_METHOD(imports, "docker's archives and compressed layers lead to the same layers",
                 "[oci][privileged]") {
  auto image = image_of({low, high});
  REQUIRE(imports_as("one", archive_of(image.docker_files())) == errc::none);
  image.gzip = true;
  REQUIRE(imports_as("two", packed(archive_of(image.oci_files()), packing::zstd)) == errc::none);
  CHECK(names(".layer-").size() == 2);
  CHECK(told.find("\"state\":\"known\"") != std::string::npos);
  CHECK(told.find("\"state\":\"unpacked\"") == std::string::npos);
  CHECK(last.size_bytes > 0); // also of what was there already
}

TEST_CASE_METHOD(imports, "a layer with another content than announced leaves nothing", "[oci][privileged]") {
  auto image = image_of({low, high});
  auto all = image.docker_files();
  for (auto& [name, content] : all)
    if (name.ends_with("layer.tar"))
      content = other;
  CHECK(imports_as("mine", archive_of(all)) == errc::digest_mismatch);
  CHECK(imports_as("mine", archive_of(image.oci_files()).substr(0, 3000)) == errc::invalid_argument);
  CHECK(imports_as("mine", archive_of(image_of({tar_of({{"../x"}})}).oci_files())) == errc::invalid_argument);
  CHECK(complaint.find("../x") != std::string::npos);
  options.limits.bytes = 1000;
  CHECK(imports_as("mine", archive_of(image.oci_files())) == errc::payload_too_large);
  options.limits.bytes = 1 << 30;
  options.limits.entries = 1;
  CHECK(imports_as("mine", archive_of(image.oci_files())) == errc::payload_too_large);
  CHECK(names(".layer-").empty());
  CHECK(names(".import-").empty());
  CHECK_FALSE(images().find("mine"));
}

TEST_CASE_METHOD(imports, "an archive is imported by its path where that is allowed", "[oci][privileged]") {
  auto inside = scratch.path + "/allowed/image.tar", outside = scratch.path + "/image.tar";
  for (const auto& path : {inside, outside})
    REQUIRE(write_new_file(path, archive_of(image_of({low}).oci_files())));
  std::filesystem::create_symlink(outside, scratch.path + "/allowed/link.tar");
  REQUIRE(::mkfifo((scratch.path + "/allowed/fifo").c_str(), 0600) == 0);
  oci::importer from{options};
  auto refusal = [&](const std::string& path) { return code_of(from.begin("mine", {path}).error()); };
  CHECK(refusal(outside) == errc::forbidden);
  CHECK(refusal("/etc/passwd") == errc::forbidden);
  CHECK(refusal(scratch.path + "/allowed/../image.tar") == errc::forbidden);
  CHECK(refusal(scratch.path + "/allowed/link.tar") == errc::forbidden);
  CHECK(refusal(scratch.path + "/allowed/fifo") == errc::invalid_argument);
  CHECK(refusal(scratch.path + "/allowed/none") == errc::file_not_found);
  auto begun = from.begin("mine", {inside});
  REQUIRE(begun);
  std::thread reader{[&] { read(std::move((*begun)->progress)); }};
  auto made = (*begun)->finish();
  reader.join();
  CHECK(made);
  CHECK(images().find("mine"));
}

TEST_CASE_METHOD(imports, "layers stay while an image has them or a sandbox stands on them",
                 "[oci][privileged]") {
  REQUIRE(imports_as("one", archive_of(image_of({low, high}).oci_files())) == errc::none);
  REQUIRE(imports_as("two", archive_of(image_of({low, other}).oci_files())) == errc::none);
  CHECK(names(".layer-").size() == 3);
  stand_on("one", "box");
  REQUIRE(published.remove("one"));
  CHECK_FALSE(images().find("one"));
  CHECK(names(".layer-").size() == 3); // the sandbox lives on
  std::filesystem::remove_all(data + "/sandboxes/box");
  REQUIRE(published.sweep());
  CHECK(names(".layer-").size() == 2);
  REQUIRE(published.remove("two"));
  CHECK(names(".layer-").empty());
  REQUIRE(published.sweep());
  CHECK(names(".one").empty());
  CHECK(names(".removing").empty());
  CHECK(code_of(published.remove("two").error()) == errc::image_not_found);
}

TEST_CASE_METHOD(imports, "an image of the same name takes the place of the one before",
                 "[oci][privileged]") {
  REQUIRE(imports_as("mine", archive_of(image_of({low}).oci_files())) == errc::none);
  auto before = images().find("mine")->version;
  stand_on("mine", "box");
  REQUIRE(imports_as("mine", archive_of(image_of({other}).oci_files())) == errc::none);
  auto after = images().find("mine")->version;
  CHECK(before != after);
  REQUIRE(published.sweep());
  CHECK(images().trees(before)); // a sandbox stands on it
  std::filesystem::remove_all(data + "/sandboxes/box");
  REQUIRE(published.sweep());
  CHECK_FALSE(images().trees(before));
  CHECK(images().trees(after));
}

TEST_CASE_METHOD(imports, "while a server's data cannot be seen, nothing is removed", "[oci][privileged]") {
  std::filesystem::create_directory_symlink(scratch.path + "/elsewhere", store + "/.users/other");
  REQUIRE(imports_as("mine", archive_of(image_of({low}).oci_files())) == errc::none);
  REQUIRE(published.remove("mine"));
  CHECK(names(".layer-").size() == 1);
}

TEST_CASE_METHOD(imports, "images that were built stay what they are", "[oci][privileged]") {
  std::filesystem::create_directories(store + "/built/rootfs");
  REQUIRE(write_new_file(store + "/built/image.json", "{}"));
  CHECK(imports_as("built", archive_of(image_of({low}).oci_files())) == errc::conflict);
  CHECK(code_of(published.remove("built").error()) == errc::forbidden);
  CHECK(imports_as("../up", "") == errc::invalid_argument);
  REQUIRE(published.sweep());
  CHECK(images().find("built"));
}

TEST_CASE_METHOD(imports, "what a crash left of an import goes, what is at work stays", "[oci][privileged]") {
  auto dead = store + "/.import-dead", alive = store + "/.import-alive";
  for (const auto& each : {dead, alive}) {
    std::filesystem::create_directories(each + "/root/layers/half/tree");
    REQUIRE(write_new_file(each + "/lock", ""));
  }
  REQUIRE(write_new_file(alive + "/known", "counted-on\n"));
  std::filesystem::create_directories(store + "/.layer-sha256-counted-on/tree");
  std::filesystem::create_directories(store + "/.layer-sha256-orphan/tree");
  unique_fd lock{::open((alive + "/lock").c_str(), O_RDWR | O_CLOEXEC)};
  REQUIRE(::flock(lock.get(), LOCK_EX | LOCK_NB) == 0);
  REQUIRE(published.sweep());
  CHECK_FALSE(std::filesystem::exists(dead));
  CHECK(std::filesystem::exists(alive));
  CHECK(names(".layer-") == std::vector<std::string>{".layer-sha256-counted-on"});
}

TEST_CASE_METHOD(imports, "two imports of the same at once both succeed", "[oci][privileged]") {
  auto bytes = archive_of(image_of({low, high}).oci_files());
  oci::importer from{options};
  auto first = from.begin("one", {}), second = from.begin("one", {});
  REQUIRE(first);
  REQUIRE(second);
  CHECK(code_of(from.begin("three", {}).error()) == errc::capacity_exhausted);
  std::vector<std::thread> work;
  std::vector<int> succeeded(2);
  for (auto [one, good] : {std::pair{&*first, &succeeded[0]}, {&*second, &succeeded[1]}}) {
    work.emplace_back([one, &bytes] { write(std::move((*one)->archive), bytes); });
    work.emplace_back([one] { read(std::move((*one)->progress)); });
    work.emplace_back([one, good] { *good = (*one)->finish() ? 1 : 0; });
  }
  for (auto& each : work)
    each.join();
  CHECK(succeeded == std::vector<int>{1, 1});
  CHECK(names(".layer-").size() == 2);
  REQUIRE(images().find("one"));
  CHECK(images().trees(images().find("one")->version));
}

TEST_CASE_METHOD(imports, "an import that nobody waits for ends", "[oci][privileged]") {
  oci::importer from{options};
  auto begun = from.begin("mine", {});
  REQUIRE(begun);
  SECTION("because its archive does not come") {
    (*begun)->archive.reset();
    CHECK_FALSE((*begun)->finish());
  }
  SECTION("because nobody hears of it") {
    (*begun)->progress.reset();
    std::thread writer{[&] { write(std::move((*begun)->archive), archive_of(image_of({low}).oci_files())); }};
    CHECK(code_of((*begun)->finish().error()) == errc::cancelled);
    writer.join();
  }
  begun->reset();
  CHECK(names(".import-").empty());
  CHECK(names(".layer-").empty());
}
