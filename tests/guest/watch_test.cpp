#include "guest/guest_fixture.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace sandy;
using namespace sandy::tests;

namespace {

struct watched : guest_fixture {
  watched() {
    REQUIRE(run(io->make_directory(directory + "/w/old", 0755)));
    auto watch = run(io->watch({directory + "/w"}));
    REQUIRE(watch);
    stream = std::move(*watch);
  }

  /// All changes up to and with the one that says `last`.
  std::vector<std::string> until(const std::string& last) {
    std::vector<std::string> seen;
    while (seen.empty() || seen.back() != last) {
      auto event = run(stream->next());
      REQUIRE(event);
      seen.push_back(event->kind + " " + event->path + (event->from.empty() ? "" : " from " + event->from) +
                     (event->directory ? "/" : ""));
    }
    return seen;
  }

  std::unique_ptr<watch_stream> stream;
};

bool has(const std::vector<std::string>& all, const std::string& what) {
  return std::find(all.begin(), all.end(), what) != all.end();
}

} // namespace

TEST_CASE_METHOD(watched, "a file that is put in place shows as created, then as modified, and never half",
                 "[guest]") {
  REQUIRE(put(directory + "/w/file", "1"));
  CHECK(until("created file").size() == 1);
  REQUIRE(put(directory + "/w/file", "2"));
  CHECK(until("modified file").size() == 1);
}

TEST_CASE_METHOD(watched, "changes are told in their order, also in a new directory", "[guest]") {
  REQUIRE(shell("mkdir " + directory + "/w/sub && echo 1 > " + directory + "/w/sub/f")->exit.exit_code == 0);
  CHECK(until("created sub/f").front() == "created sub/");
  REQUIRE(shell("cd " + directory + "/w/sub && mv f g && rm g")->exit.exit_code == 0);
  CHECK(has(until("deleted sub/g"), "moved sub/g from sub/f"));
}

TEST_CASE_METHOD(guest_fixture, "what is in dependencies is no news to who does not want it", "[guest]") {
  REQUIRE(run(io->make_directory(directory + "/w/node_modules/old", 0755)));
  auto stream = run(io->watch({directory + "/w", true, true}));
  REQUIRE(stream);
  REQUIRE(shell("cd " + directory +
                "/w && mkdir -p .git src node_modules/new && echo 1 > node_modules/old/f && "
                "echo 1 > .git/index && echo 1 > src/last")
              ->exit.exit_code == 0);
  std::vector<std::string> seen;
  while (seen.empty() || seen.back() != "src/last") {
    auto event = run((*stream)->next());
    REQUIRE(event);
    seen.push_back(event->path);
  }
  CHECK(std::none_of(seen.begin(), seen.end(), [](const auto& path) {
    return path.starts_with("node_modules/") || path.starts_with(".git/");
  }));
}

TEST_CASE_METHOD(guest_fixture, "what is no directory cannot be watched", "[guest]") {
  CHECK(code_of(run(io->watch({directory + "/none"})).error()) == errc::file_not_found);
  CHECK(code_of(run(io->watch({"/etc/passwd"})).error()) == errc::not_a_directory);
}

TEST_CASE_METHOD(watched, "a directory that is renamed is followed under its new name", "[guest]") {
  REQUIRE(run(io->move(directory + "/w/old", directory + "/w/new", false)));
  CHECK(until("moved new from old/").size() == 1);
  REQUIRE(put(directory + "/w/new/file", "1"));
  CHECK(until("created new/file").size() == 1);
}

TEST_CASE_METHOD(watched, "what goes out of the directory is deleted, what comes in has moved", "[guest]") {
  REQUIRE(run(io->move(directory + "/w/old", directory + "/outside", false)));
  CHECK(until("deleted old/").size() == 1);
  REQUIRE(put(directory + "/outside/silent", "1")); // no longer ours to tell
  REQUIRE(run(io->move(directory + "/outside", directory + "/w/back", false)));
  auto seen = until("created back/silent");
  CHECK(has(seen, "moved back/"));
  CHECK_FALSE(has(seen, "created old/silent"));
}

TEST_CASE_METHOD(watched, "everything in a tree that appears at once is told", "[guest]") {
  REQUIRE(shell("mkdir -p " + directory + "/w/x/y/z && echo 1 > " + directory + "/w/x/y/z/f && echo 1 > " +
                directory + "/w/last")
              ->exit.exit_code == 0);
  std::vector<std::string> seen;
  while (!has(seen, "created x/y/z/f")) {
    auto event = run(stream->next());
    REQUIRE(event);
    seen.push_back(event->kind + " " + event->path);
  }
  CHECK(has(seen, "created x"));
  CHECK(has(seen, "created x/y"));
  CHECK(has(seen, "created x/y/z"));
}

TEST_CASE_METHOD(watched, "what is in a tree is told where it is in the end, however soon it is moved",
                 "[guest]") {
  // Often enough that it is moved before it was looked into, meanwhile, and after.
  auto made = shell("mkdir " + directory + "/made && cd " + directory +
                    "/w && for i in {1..300}; do mkdir -p t/s && echo 1 > t/s/f && mv t done$i; "
                    "mkdir ../made/s$i && echo 1 > ../made/s$i/f && mv ../made/s$i .; done; "
                    "for i in {1..300}; do echo 2 >> done$i/s/f; echo 2 >> s$i/f; done; : > last");
  REQUIRE(made->exit.exit_code == 0);
  auto seen = until("modified last");
  REQUIRE_FALSE(has(seen, "overflow "));
  for (int i = 1; i <= 300; ++i) {
    INFO(i);
    CHECK((has(seen, "modified done" + std::to_string(i) + "/s/f") ||
           has(seen, "created done" + std::to_string(i) + "/s/f")));
    CHECK((has(seen, "modified s" + std::to_string(i) + "/f") ||
           has(seen, "created s" + std::to_string(i) + "/f")));
  }
}

TEST_CASE_METHOD(guest_fixture, "dependencies that become something else are looked into", "[guest]") {
  REQUIRE(
      shell("mkdir -p " + directory + "/w/node_modules/a && echo 1 > " + directory + "/w/node_modules/a/f")
          ->exit.exit_code == 0);
  auto stream = run(io->watch({directory + "/w", true, true}));
  REQUIRE(stream);
  REQUIRE(run(io->move(directory + "/w/node_modules", directory + "/w/kept", false)));
  std::vector<std::string> seen;
  while (!has(seen, "created kept/a/f")) {
    auto event = run((*stream)->next());
    REQUIRE(event);
    seen.push_back(event->kind + " " + event->path);
  }
  CHECK(seen.front() == "moved kept");
}

TEST_CASE_METHOD(watched, "a reader that falls behind is told that changes were lost", "[guest]") {
  // More than the kernel queues (16384), the guest holds and the socket takes together.
  auto flood = shell("cd " + directory + "/w && for i in {1..20000}; do : > a; : > b; done");
  REQUIRE(flood->exit.exit_code == 0);
  until("overflow ");
  REQUIRE(put(directory + "/w/after", "1"));
  until("created after"); // and it goes on
}

TEST_CASE_METHOD(watched, "the end of the watched directory ends the stream", "[guest]") {
  REQUIRE(run(io->remove(directory + "/w", true)));
  for (;;) {
    auto event = run(stream->next());
    if (!event) {
      CHECK(code_of(event.error()) == errc::file_not_found);
      break;
    }
  }
}
