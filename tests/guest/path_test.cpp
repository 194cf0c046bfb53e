// Paths that are made to mislead. Everything is resolved inside; what is tested is that nothing else is hit
// by mistake.

#include "guest/guest_fixture.hpp"

#include <catch2/catch.hpp>

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <filesystem>

using namespace sandy;
using namespace sandy::tests;
namespace fs = std::filesystem;

TEST_CASE_METHOD(guest_fixture, "dots and links lead where they lead any program", "[guest]") {
  REQUIRE(put(directory + "/a/../b/./c", "1"));
  CHECK(*get(directory + "/b/c") == "1");
  fs::create_symlink(directory + "/b", directory + "/absolute");
  fs::create_symlink("b/c", directory + "/relative");
  CHECK(*get(directory + "/absolute/c") == "1");
  auto seen = run(io->stat(directory + "/relative"));
  REQUIRE(seen);
  CHECK(seen->kind == file_kind::symlink);
  CHECK(seen->target == "b/c");
  CHECK(*get("/proc/self/root" + directory + "/b/c") == "1");
  REQUIRE(put("/proc/self/root" + directory + "/b/d", "2")); // a long way round to the same place
  CHECK(*get(directory + "/b/d") == "2");
}

TEST_CASE_METHOD(guest_fixture, "writing to a link writes the file it leads to", "[guest]") {
  REQUIRE(put(directory + "/real/file", "old"));
  fs::create_symlink("real/file", directory + "/link");
  REQUIRE(put(directory + "/link", "new"));
  CHECK(fs::is_symlink(directory + "/link"));
  CHECK(*get(directory + "/real/file") == "new");
  fs::create_symlink(directory + "/nowhere/yet", directory + "/dangling");
  REQUIRE(put(directory + "/dangling", "made"));
  CHECK(*get(directory + "/nowhere/yet") == "made");
  fs::create_symlink("circle", directory + "/circle");
  CHECK(code_of(put(directory + "/circle", "x").error()) == errc::invalid_argument);
  CHECK(code_of(get(directory + "/circle").error()) == errc::invalid_argument);
  CHECK(run(io->stat(directory + "/circle"))->kind == file_kind::symlink);
}

TEST_CASE_METHOD(guest_fixture,
                 "a directory that is swapped for a link while a file is written leads nowhere else",
                 "[guest]") {
  REQUIRE(run(io->make_directory(directory + "/mine", 0755)));
  REQUIRE(run(io->make_directory(directory + "/other", 0755)));
  write_options options;
  options.path = directory + "/mine/file";
  auto sink = run(io->write_file(options));
  REQUIRE(sink);
  REQUIRE(run((*sink)->write("content")));
  fs::rename(directory + "/mine", directory + "/moved");
  fs::create_symlink(directory + "/other", directory + "/mine");
  REQUIRE(run((*sink)->commit(false)));
  CHECK(fs::is_empty(directory + "/other"));
  CHECK(*get(directory + "/moved/file") == "content");
}

TEST_CASE_METHOD(guest_fixture, "what is not a regular file is neither read nor replaced", "[guest]") {
  ::mkfifo((directory + "/fifo").c_str(), 0600);
  ::mknod((directory + "/null").c_str(), S_IFCHR | 0666, makedev(1, 3));
  for (auto name : {"/fifo", "/null", "/.socket"}) {
    CHECK(code_of(get(directory + name).error()) == errc::invalid_argument);
    CHECK(code_of(put(directory + name, "x").error()) == errc::invalid_argument);
    CHECK_FALSE(fs::is_regular_file(directory + name));
  }
  for (auto path : {"/proc/1/mem", "/sys/kernel/made-up", "/proc/made-up"})
    CHECK_FALSE(put(path, "x"));
}

TEST_CASE_METHOD(guest_fixture, "removing a tree does not follow its links", "[guest]") {
  REQUIRE(put(directory + "/keep/file", "kept"));
  REQUIRE(put(directory + "/tree/sub/file", "x"));
  fs::create_symlink(directory + "/keep", directory + "/tree/sub/link");
  fs::create_symlink(directory + "/keep", directory + "/straight");
  REQUIRE(run(io->remove(directory + "/tree", true)));
  REQUIRE(run(io->remove(directory + "/straight", true)));
  CHECK(*get(directory + "/keep/file") == "kept");
  CHECK_FALSE(fs::exists(directory + "/tree"));
  for (auto path : {std::string("/"), directory + "/.", directory + "/keep/.."})
    CHECK(code_of(run(io->remove(path, true)).error()) == errc::conflict);
}

TEST_CASE_METHOD(guest_fixture, "a tree deeper than any path is listed as far as paths go, and removed",
                 "[guest]") {
  auto dug = shell("n=" + std::string(100, 'd') + "; mkdir " + directory + "/deep && cd " + directory +
                   "/deep && for i in {1..60}; do mkdir $n && cd -P $n 2>/dev/null && : > f || exit 1; done");
  REQUIRE(dug->exit.exit_code == 0);
  list_options options;
  options.path = directory + "/deep";
  auto listed = run(io->list(options));
  REQUIRE(listed);
  CHECK(listed->size() > 70); // two for each level that has a path
  CHECK(listed->size() < 120);
  REQUIRE(run(io->remove(directory + "/deep", true)));
  CHECK_FALSE(fs::exists(directory + "/deep"));
}

TEST_CASE_METHOD(guest_fixture, "a listing tells links and does not follow them", "[guest]") {
  REQUIRE(put(directory + "/l/sub/file", "x"));
  fs::create_symlink("..", directory + "/l/sub/up");
  list_options options;
  options.path = directory + "/l";
  auto listed = run(io->list(options));
  REQUIRE(listed);
  CHECK(listed->size() == 3);
  for (const auto& each : *listed)
    if (each.path == "sub/up") {
      CHECK(each.kind == file_kind::symlink);
      CHECK(each.target == "..");
    }
}

TEST_CASE_METHOD(guest_fixture,
                 "a full disk is told, leaves nothing half written, and moving to another disk works",
                 "[guest]") {
  auto disk = directory + "/disk";
  REQUIRE(shell("mkdir " + disk + " && mount -t tmpfs -o size=1m none " + disk)->exit.exit_code == 0);
  CHECK(code_of(put(disk + "/big", std::string(4'000'000, 'x')).error()) == errc::disk_full);
  shell("true"); // the guest has seen the connection close
  CHECK(shell("ls -A " + disk)->out.empty());
  REQUIRE(put(directory + "/tree/file", "content"));
  REQUIRE(run(io->move(directory + "/tree", disk + "/tree", false)));
  CHECK(*get(disk + "/tree/file") == "content");
  CHECK_FALSE(fs::exists(directory + "/tree"));
  REQUIRE(put(directory + "/file", "other"));
  CHECK(code_of(run(io->move(directory + "/file", disk + "/tree/file", false)).error()) == errc::file_exists);
  REQUIRE(run(io->move(directory + "/file", disk + "/tree/file", true)));
  CHECK(*get(disk + "/tree/file") == "other");
  REQUIRE(put(directory + "/big", std::string(4'000'000, 'x')));
  CHECK(code_of(run(io->move(directory + "/big", disk + "/big", false)).error()) == errc::disk_full);
  CHECK(get(directory + "/big")->size() == 4'000'000);
}

TEST_CASE_METHOD(guest_fixture, "a name of any bytes works, and a path that is too long is refused",
                 "[guest]") {
  auto odd = directory + "/new\nline \xff\xfe 'quoted' *";
  REQUIRE(put(odd, "x"));
  CHECK(*get(odd) == "x");
  REQUIRE(run(io->remove(odd, false)));
  CHECK(code_of(put(directory + "/" + std::string(256, 'n'), "x").error()) == errc::invalid_argument);
  std::string deep = directory;
  while (deep.size() < 5000)
    deep += "/part";
  CHECK(code_of(put(deep, "x").error()) == errc::invalid_argument);
  CHECK(code_of(run(io->make_directory(deep, 0755)).error()) == errc::invalid_argument);
}
