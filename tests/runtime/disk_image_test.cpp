#include "runtime/child_process.hpp"
#include "runtime/disk_files.hpp"
#include "runtime/disk_image.hpp"
#include "tests/runtime/temporary_directory.hpp"

#include <catch2/catch.hpp>

#include <sys/stat.h>

using namespace sandy;
using namespace sandy::runtime;
using namespace sandy::test;

TEST_CASE("a disk is as large as asked, takes little room and is sound", "[disk]") {
  temporary_directory scratch;
  disk_maker maker{scratch.path};
  auto file = scratch.path + "/disk";
  REQUIRE(maker.make(file, 2ull << 30));
  struct stat about{};
  REQUIRE(::stat(file.c_str(), &about) == 0);
  CHECK(about.st_size == 2ll << 30);
  CHECK(about.st_blocks * 512 < 512 * 1024);
  CHECK((about.st_mode & 0777) == 0600);
  auto checked = run_child({{"/sbin/fsck.ext4", "-n", "-f", file},
                            {},
                            std::chrono::steady_clock::now() + std::chrono::seconds{30}});
  REQUIRE(checked);
  CHECK(checked->exit_status == 0);
}

TEST_CASE("sizes are rounded up and have a least one", "[disk]") {
  temporary_directory scratch;
  disk_maker maker{scratch.path};
  auto size_of = [&](const std::string& name, std::uint64_t wanted) {
    REQUIRE(maker.make(scratch.path + "/" + name, wanted));
    return std::filesystem::file_size(scratch.path + "/" + name);
  };
  CHECK(size_of("tiny", 1) == 16u << 20);
  CHECK(size_of("odd", (20u << 20) + 1) == 21u << 20);
}

TEST_CASE("disks of one size are the same, also those of many sizes later", "[disk]") {
  temporary_directory scratch;
  disk_maker maker{scratch.path};
  REQUIRE(maker.make(scratch.path + "/first", 16 << 20));
  for (unsigned size = 17; size < 40; ++size) // more than are remembered
    REQUIRE(maker.make(scratch.path + "/other" + std::to_string(size), size << 20));
  REQUIRE(maker.make(scratch.path + "/again", 16 << 20));
  for (auto name : {"/first", "/again"}) {
    auto checked = run_child({{"/sbin/fsck.ext4", "-n", "-f", scratch.path + name},
                              {},
                              std::chrono::steady_clock::now() + std::chrono::seconds{30}});
    REQUIRE(checked);
    CHECK(checked->exit_status == 0);
  }
}

TEST_CASE("a disk never replaces a file, and no scratch is left", "[disk]") {
  temporary_directory scratch;
  disk_maker maker{scratch.path};
  REQUIRE(maker.make(scratch.path + "/disk", 16 << 20));
  CHECK_FALSE(maker.make(scratch.path + "/disk", 16 << 20));
  CHECK_FALSE(maker.make(scratch.path + "/missing/disk", 16 << 20));
  CHECK(std::distance(std::filesystem::directory_iterator{scratch.path}, {}) == 1);
}

TEST_CASE("every sandbox's host name is in its hosts file", "[disk]") {
  auto found = false;
  for (const auto& file : disk_files)
    found = found || (std::string_view{file.path} == "etc/hosts" &&
                      std::string_view{file.content}.find(sandbox_hostname) != std::string_view::npos);
  CHECK(found);
}
