#include "agent_run_fixture.hpp"

using namespace sandy;
using namespace sandy::tests;
using namespace std::chrono_literals;

TEST_CASE_METHOD(run_of_agent, "who goes on writing files does not hold the end", "[agents]") {
  box->restless = true;
  begin();
  read_for(200ms);
  box->exit(0);
  read_for(2s);
  check_end(0, true, false);
}

TEST_CASE("files that come to go are no news, and what was there before is modified", "[agents]") {
  agent_files files;
  files.expect({"old.txt"});
  files.note({"created", "new.txt.tmp", {}, false});
  files.note({"moved", "new.txt", "new.txt.tmp", false});
  files.note({"created", "old.txt.tmp", {}, false});
  files.note({"moved", "old.txt", "old.txt.tmp", false});
  files.note({"created", "gone.txt", {}, false});
  files.note({"deleted", "gone.txt", {}, false});
  auto taken = files.take(10);
  REQUIRE(taken.size() == 2);
  CHECK(taken[0].path == "new.txt");
  CHECK(taken[0].created);
  CHECK(taken[1].path == "old.txt");
  CHECK_FALSE(taken[1].created);
  CHECK(files.total() == 2);
  CHECK(files.names() == std::vector<std::string>{"new.txt", "old.txt"});
  files.note({"modified", "new.txt", {}, false});
  taken = files.take(10);
  REQUIRE(taken.size() == 1);
  CHECK_FALSE(taken[0].created);
  CHECK(files.total() == 2);
}

TEST_CASE("a directory that moves takes its files along, and one that goes takes them away", "[agents]") {
  agent_files files;
  files.expect({"a/old.txt", "a-b.txt"});
  files.note({"created", "a/new.txt", {}, false});
  files.note({"created", "a/in/deep.txt", {}, false});
  files.note({"moved", "b", "a", true});
  CHECK(files.names() == std::vector<std::string>{"b/in/deep.txt", "b/new.txt", "b/old.txt"});
  CHECK(files.total() == 3);
  auto taken = files.take(10);
  REQUIRE(taken.size() == 3);
  CHECK(std::all_of(taken.begin(), taken.end(), [](const auto& each) { return each.created; }));
  files.note({"created", "b/in/more.txt", {}, false});
  files.note({"deleted", "b/in", {}, true});
  CHECK(files.names() == std::vector<std::string>{"b/new.txt", "b/old.txt"});
  CHECK(files.total() == 2);
  CHECK(files.take(10).empty());
  files.note({"moved", "node_modules/b", "b", true}); // of no interest there
  CHECK(files.total() == 0);
}

TEST_CASE_METHOD(run_of_agent, "files are told when they changed, caches never, and all before the end",
                 "[agents]") {
  begin();
  read_for(200ms);
  box->changes.push_back(watch_event{"created", "a.txt", {}, false});
  box->changes.push_back(watch_event{"modified", "a.txt", {}, false});
  box->changes.push_back(watch_event{"created", "node_modules/x/y.js", {}, false});
  box->changes.push_back(watch_event{"created", "src", {}, true});
  read_for(1500ms);
  REQUIRE(count("files-update") == 1);
  box->changes.push_back(watch_event{"moved", "b.txt", "b.tmp", false});
  box->exit(0);
  read_for(300ms);
  check_end(0, true, false);
  REQUIRE(count("files-update") == 2);
  std::vector<std::string> paths;
  for (const auto& each : told)
    if (each["type"] == "files-update")
      for (const auto& file : each["files"])
        paths.push_back(file["changeType"].get<std::string>() + " " + file["path"].get<std::string>());
  CHECK(paths == std::vector<std::string>{"created a.txt", "created b.txt"});
  CHECK(info().files == std::vector<std::string>{"a.txt", "b.txt"});
}

TEST_CASE_METHOD(run_of_agent, "files that change in a pause, and just before it, are told when it is over",
                 "[agents]") {
  begin();
  read_for(200ms);
  box->changes.push_back(watch_event{"created", "before.txt", {}, false});
  box->changes.push_back(watch_event{"modified", "old.txt", {}, false});
  box->paused = true;
  read_for(12s);
  CHECK(count("files-update") == 0);
  box->changes.push_back(watch_event{"created", "later.txt", {}, false});
  box->paused = false;
  read_for(8s);
  std::map<std::string, std::string> seen;
  for (const auto& each : told)
    if (each["type"] == "files-update")
      for (const auto& file : each["files"])
        CHECK(seen.emplace(file["path"], file["changeType"]).second);
  CHECK(seen == std::map<std::string, std::string>{
                    {"before.txt", "created"}, {"later.txt", "created"}, {"old.txt", "modified"}});
}
