#include "guest/guest_fixture.hpp"

#include <catch2/catch.hpp>

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

using namespace sandy;
using namespace sandy::tests;
namespace fs = std::filesystem;

TEST_CASE_METHOD(guest_fixture, "a file comes back as it was written, with its directories made", "[guest]") {
  std::string bytes(5'000'000, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<char>(i * 31);
  auto placed = put(directory + "/a/b/c.bin", bytes);
  REQUIRE(placed);
  CHECK(placed->size == bytes.size());
  CHECK(placed->mode == 0644);
  CHECK(*get(directory + "/a/b/c.bin") == bytes);
  CHECK(run(io->stat(directory + "/a"))->kind == file_kind::directory);
}

TEST_CASE_METHOD(guest_fixture, "base64 is decoded when the file is put in place, strictly", "[guest]") {
  CHECK(put(directory + "/x", "aGVs\nbG8=", true)->size == 5);
  CHECK(*get(directory + "/x") == "hello");
  for (auto bad : {"a", "aGVsbG8", "a*==", "====", "aGVsbG8=x"}) {
    CHECK(code_of(put(directory + "/y", bad, true).error()) == errc::invalid_argument);
    CHECK_FALSE(fs::exists(directory + "/y"));
  }
}

TEST_CASE_METHOD(guest_fixture, "a file that is not committed leaves nothing", "[guest]") {
  {
    write_options options;
    options.path = directory + "/half";
    auto sink = run(io->write_file(options));
    REQUIRE(sink);
    REQUIRE(run((*sink)->write("part")));
    CHECK_FALSE(fs::exists(directory + "/half"));
  }
  shell("true"); // the guest has seen the connection close
  auto left = shell("ls -A " + directory);
  CHECK(left->out == ".socket\n");
}

TEST_CASE_METHOD(guest_fixture, "an existing file keeps its mode", "[guest]") {
  REQUIRE(put(directory + "/run.sh", "one"));
  ::chmod((directory + "/run.sh").c_str(), 0755);
  CHECK(put(directory + "/run.sh", "two")->mode == 0755);
}

TEST_CASE_METHOD(guest_fixture, "what cannot be read or written is named", "[guest]") {
  CHECK(code_of(get(directory + "/none").error()) == errc::file_not_found);
  CHECK(text_of(get(directory + "/none").error()) == "File not found: " + directory + "/none");
  CHECK(code_of(get(directory).error()) == errc::is_directory);
  CHECK(code_of(put(directory, "x").error()) == errc::is_directory);
  REQUIRE(put(directory + "/file", "x"));
  CHECK(code_of(get(directory + "/file/below").error()) == errc::not_a_directory);
  CHECK(code_of(put("/proc/sys/kernel/hostname", "x").error()) == errc::permission_denied);
  CHECK(code_of(get(std::string("/a\0b", 4)).error()) == errc::invalid_argument);
  CHECK_FALSE(get("/" + std::string(5000, 'x')));
  CHECK(code_of(run(io->stat(directory + "/none")).error()) == errc::file_not_found);
  ::mkfifo((directory + "/fifo").c_str(), 0600);
  CHECK_FALSE(get(directory + "/fifo")); // and nobody waits for a writer
  CHECK(shell("echo well")->out == "well\n");
}

TEST_CASE_METHOD(guest_fixture, "a range of a file is read", "[guest]") {
  REQUIRE(put(directory + "/digits", "0123456789"));
  auto work = [](guest_fixture* self) -> io_task<result<std::string>> {
    auto file = co_await self->io->read_file(self->directory + "/digits", 3, 4);
    if (!file)
      co_return std::move(file.error());
    auto bytes = co_await file->bytes->read();
    co_return std::move(bytes);
  };
  CHECK(*run(work(this)) == "3456");
}

TEST_CASE_METHOD(guest_fixture, "a listing is recursive, relative, and leaves out dependencies", "[guest]") {
  for (auto name : {"b.txt", "a/x", "node_modules/m/i.js", ".git/HEAD", "a/node_modules/n", "dist/out.js"})
    REQUIRE(put(directory + "/" + name, "x"));
  list_options options;
  options.path = directory;
  auto names = [&] {
    std::vector<std::string> all;
    auto listed = run(io->list(options));
    REQUIRE(listed);
    for (const auto& each : *listed)
      if (each.kind == file_kind::regular)
        all.push_back(each.path);
    std::sort(all.begin(), all.end()); // in any order: the edge sorts
    return all;
  };
  CHECK(names() == std::vector<std::string>{"a/x", "b.txt", "dist/out.js"});
  options.path = directory + "/node_modules";
  CHECK(names() == std::vector<std::string>{"m/i.js"});
  options.path = directory;
  options.max_entries = 2;
  CHECK(code_of(run(io->list(options)).error()) == errc::limit_reached);
  options.path = directory + "/none";
  CHECK(code_of(run(io->list(options)).error()) == errc::file_not_found);
}

TEST_CASE_METHOD(guest_fixture, "directories are made, moved and removed", "[guest]") {
  REQUIRE(run(io->make_directory(directory + "/d/e/f", 0755)));
  REQUIRE(put(directory + "/d/e/file", "1"));
  REQUIRE(run(io->move(directory + "/d/e", directory + "/moved", false)));
  CHECK(*get(directory + "/moved/file") == "1");
  REQUIRE(put(directory + "/other", "2"));
  CHECK(code_of(run(io->move(directory + "/other", directory + "/moved/file", false)).error()) ==
        errc::file_exists);
  REQUIRE(run(io->move(directory + "/other", directory + "/moved/file", true)));
  CHECK(*get(directory + "/moved/file") == "2");
  CHECK(code_of(run(io->remove(directory + "/moved", false)).error()) == errc::directory_not_empty);
  REQUIRE(run(io->remove(directory + "/moved", true)));
  CHECK_FALSE(fs::exists(directory + "/moved"));
  CHECK(code_of(run(io->remove(directory + "/moved", true)).error()) == errc::file_not_found);
}
