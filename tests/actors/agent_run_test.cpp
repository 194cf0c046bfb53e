#include "actors/agent_run.hpp"
#include "coro/timer.hpp"
#include "machine.hpp"

#include <nlohmann/json.hpp>

#include <catch2/catch.hpp>

#include <signal.h>

#include <deque>

using namespace sandy;
using namespace sandy::tests;
using namespace std::chrono_literals;

namespace {

/// A sandbox that does what the test says. What waits looks again every 10 ms of the test's clock.
struct scripted_box final : agent_box {
  coro::task<void> make_directory(std::string) override { co_return caf::unit; }
  coro::task<void> write(std::string path, std::string content) override {
    written[path] = content;
    co_return caf::unit;
  }
  coro::task<std::string> read(std::string path, std::uint64_t) override {
    while (paused)
      co_await coro::sleep_for(10ms);
    co_return "content of " + path;
  }
  coro::task<file_info> stat(std::string path) override {
    if (!files.contains(path))
      co_return fail(errc::file_not_found, "File not found: " + path);
    co_return file_info{};
  }
  coro::task<std::vector<std::string>> list(std::string) override {
    co_return std::vector<std::string>{"old.txt"};
  }
  coro::task<void> watch(std::string) override { co_return caf::unit; }
  coro::task<watch_event> next_change() override {
    if (restless) {
      co_await coro::sleep_for(1ms);
      co_return watch_event{"modified", "log", {}, false};
    }
    while (changes.empty())
      co_await coro::sleep_for(10ms);
    auto change = changes.front();
    changes.pop_front();
    co_return change;
  }
  coro::task<std::uint32_t> start(process_spec wanted) override {
    while (silent)
      co_await coro::sleep_for(10ms);
    if (start_failure)
      co_return start_failure;
    spec = std::move(wanted);
    co_return process_id;
  }
  coro::task<void> feed(std::string bytes) override {
    input = std::move(bytes);
    co_return caf::unit;
  }
  coro::task<process_event> next_event() override {
    while (events.empty())
      co_await coro::sleep_for(10ms);
    auto event = events.front();
    events.pop_front();
    ++taken;
    co_return event;
  }
  coro::task<void> signal(int number) override {
    signals.push_back(number);
    while (paused)
      co_await coro::sleep_for(10ms);
    co_return caf::unit;
  }

  void print(std::string text, output_stream to = output_stream::standard_output) {
    events.push_back(process_event{output_chunk{to, 0, std::move(text)}});
  }
  void exit(int code) { events.push_back(process_event{process_exit{code, 0, false, 1, 0}}); }

  static constexpr std::uint32_t process_id = 17;
  std::map<std::string, std::string> written;
  std::set<std::string> files;
  process_spec spec;
  std::string input;
  std::deque<result<process_event>> events;
  std::deque<result<watch_event>> changes;
  std::vector<int> signals;
  caf::error start_failure;
  int taken = 0;
  bool paused = false;
  bool silent = false;   ///< never starts anything
  bool restless = false; ///< files change all the time
};

struct run_of_agent : machine {
  run_of_agent() {
    driver.on_group_end = [this] {
      if (box->spec.group && dies)
        box->events.push_back(process_event{process_exit{137, SIGKILL, false, 1, 0}});
    };
  }
  ~run_of_agent() {
    if (agent)
      kill(agent);
    agent = nullptr;
    end_all();
  }

  agents::definition printer() const {
    auto made = agents::parse_definition(R"(
name = "Printer"
id = "printer"
program = "printer"
dialect = "lines"
api = "openai"
prompt = "stdin"
interrupt = "INT"
arguments = ["--model", "{model}"]
[[files]]
path = ".printer"
content = "{json:model}"
)",
                                         "printer", "printer.toml");
    REQUIRE(made);
    return *made;
  }

  void begin(std::uint64_t max_ms = 60'000) {
    agent_order order;
    order.agent = "printer";
    order.model = "m";
    order.prompt = "do it";
    order.max_ms = max_ms;
    agent = system.spawn<coro::actor<agent_run_state, agent_run_actor>>(
        &env, sandbox_id{"0123456789abcdef01234567"}, printer(), std::move(order), std::string{"/workspace"},
        std::shared_ptr<agent_box>{box});
    REQUIRE(ask(agent, start_agent_run{}));
  }

  /// The events that are there now, read until none is left.
  void read() {
    for (;;) {
      if (!reading)
        reading.emplace(send(agent, read_agent_events{}));
      run();
      auto answer = reading->answer();
      if (!answer)
        return;
      reading.reset();
      REQUIRE(*answer);
      keep((*answer)->text);
      if ((*answer)->last)
        return;
    }
  }
  void keep(std::string_view text) {
    while (!text.empty()) {
      auto end = text.find("\n\n");
      REQUIRE(end != std::string_view::npos);
      REQUIRE(text.starts_with("data: "));
      told.push_back(nlohmann::json::parse(text.substr(6, end - 6)));
      text.remove_prefix(end + 2);
    }
  }
  void read_for(std::chrono::milliseconds time) {
    for (auto passed = 0ms; passed < time; passed += 100ms) {
      advance(100ms);
      read();
    }
  }
  std::size_t count(const std::string& type) const {
    return static_cast<std::size_t>(
        std::count_if(told.begin(), told.end(), [&](const auto& each) { return each["type"] == type; }));
  }
  void check_end(int code, bool success, bool cancelled) const {
    REQUIRE(count("complete") == 1);
    const auto& last = told.back();
    REQUIRE(last["type"] == "complete");
    CHECK(last["exitCode"] == code);
    CHECK(last["success"] == success);
    CHECK(last["cancelled"] == cancelled);
  }
  agent_run_info info() { return *ask(agent, get_agent_run{}); }
  void pause(bool paused) { box->paused = driver.fail_end_group = paused; }
  bool has_group() const { return !driver.groups.empty(); }

  std::shared_ptr<scripted_box> box = std::make_shared<scripted_box>();
  agent_run_actor agent;
  bool dies = true; ///< tells its end when it is killed
  std::vector<nlohmann::json> told;
  std::optional<sandy::tests::question<agent_events>> reading;
};

} // namespace

TEST_CASE_METHOD(run_of_agent, "an agent gets its files, its prompt and a group, and its end is told once",
                 "[agents]") {
  begin();
  box->print("hel");
  box->print("lo\nworld\n");
  box->print("care\xc3", output_stream::standard_error);
  box->print("\xa9\nunended", output_stream::standard_error);
  read_for(200ms);
  CHECK(box->written.at("/root/.agents/printer/.printer") == "\"m\"");
  CHECK(box->spec.argv == std::vector<std::string>{"printer", "--model", "m"});
  CHECK(box->spec.group);
  CHECK(driver.groups == std::set<std::string>{"0123456789abcdef01234567/" + info().id});
  CHECK(box->input == "do it");
  CHECK(info().status == run_status::running);
  box->exit(0);
  read_for(200ms);
  check_end(0, true, false);
  CHECK(told.at(0)["message"] == "Starting Printer...");
  CHECK(told.at(1)["message"] == "Running Printer with model m...");
  CHECK(told.at(2) == nlohmann::json{{"type", "output"}, {"text", "hello"}});
  CHECK(told.at(3)["text"] == "world");
  CHECK(told.at(4) == nlohmann::json{{"type", "stderr"}, {"text", "care\xc3\xa9"}});
  CHECK(told.at(5) == nlohmann::json{{"type", "stderr"}, {"text", "unended"}});
  CHECK(info().status == run_status::succeeded);
  CHECK(info().output == "hello\nworld\n");
  CHECK(box->signals.empty());
  CHECK(driver.groups_ended == 0); // what it left running stays
  CHECK_FALSE(has_group());        // here that was nothing
}

TEST_CASE_METHOD(run_of_agent, "an exit code is passed on, and explained", "[agents]") {
  begin();
  box->exit(3);
  read_for(200ms);
  check_end(3, false, false);
  CHECK(told.at(told.size() - 2)["error"] == "Printer ended with exit code 3");
}

TEST_CASE_METHOD(run_of_agent, "a program that is not there is 127", "[agents]") {
  box->start_failure = fail(errc::invalid_argument, "The program does not exist: printer");
  begin();
  read_for(200ms);
  check_end(127, false, false);
  CHECK(count("error") == 1);
  CHECK_FALSE(has_group());
}

TEST_CASE_METHOD(run_of_agent, "a run is kept before it starts, with its process, and with its end",
                 "[agents]") {
  box->silent = true;
  begin();
  read_for(200ms);
  REQUIRE(records.worked.size() == 1);
  CHECK(records.worked[0].info.status == run_status::running);
  CHECK(records.worked[0].process_id == 0);
  box->silent = false;
  read_for(200ms);
  REQUIRE(records.worked.size() == 1);
  CHECK(records.worked[0].process_id == scripted_box::process_id);
  box->print("done\n");
  box->exit(0);
  read_for(200ms);
  REQUIRE(records.worked.size() == 1);
  CHECK(records.worked[0].info.status == run_status::succeeded);
  CHECK(records.worked[0].info.output == "done\n");
  CHECK(records.worked[0].sandbox.value == "0123456789abcdef01234567");
  CHECK(info().id == records.worked[0].info.id);
}

TEST_CASE_METHOD(run_of_agent, "what cannot be kept does not start, and an end that cannot is told",
                 "[agents]") {
  records.full = true;
  begin();
  read_for(200ms);
  check_end(1, false, false);
  CHECK(box->spec.argv.empty());
  records.full = false;
  told.clear();
  begin();
  read_for(200ms);
  records.full = true;
  box->exit(0);
  read_for(200ms);
  check_end(0, true, false);
}

TEST_CASE_METHOD(run_of_agent, "signs of life come every five seconds", "[agents]") {
  begin();
  read_for(16s);
  CHECK(count("heartbeat") == 3);
  box->exit(0);
  read_for(6s);
  check_end(0, true, false);
}

TEST_CASE_METHOD(run_of_agent, "a cancelled agent is asked to end, and then killed with all that it started",
                 "[agents]") {
  begin();
  read_for(200ms);
  CHECK(*ask(agent, cancel_agent_run{}));
  CHECK(*ask(agent, cancel_agent_run{})); // it has not ended yet
  read_for(2s);
  CHECK(box->signals == std::vector<int>{SIGINT});
  CHECK(has_group());
  CHECK(count("complete") == 0);
  read_for(2s);
  CHECK(box->signals == std::vector<int>{SIGINT});
  CHECK(driver.groups_ended == 1);
  CHECK_FALSE(has_group());
  check_end(130, false, true);
  CHECK_FALSE(*ask(agent, cancel_agent_run{}));
  CHECK(info().status == run_status::cancelled);
}

TEST_CASE_METHOD(run_of_agent,
                 "an agent that obeys is swept up after at once, and its own exit code hides nothing",
                 "[agents]") {
  begin();
  read_for(200ms);
  ask(agent, cancel_agent_run{});
  box->exit(0);
  dies = false;
  read_for(300ms);
  CHECK(box->signals == std::vector<int>{SIGINT});
  CHECK(driver.groups_ended == 1);
  check_end(130, false, true);
}

TEST_CASE_METHOD(run_of_agent, "time that is over is told by a status, not by an error", "[agents]") {
  begin(10'000);
  read_for(9900ms);
  CHECK(box->signals.empty());
  read_for(5s);
  check_end(124, false, false);
  CHECK(count("error") == 0);
  CHECK(std::any_of(told.begin(), told.end(), [](const auto& each) {
    return each["type"] == "status" &&
           each["message"].template get<std::string>().find("10 s") != std::string::npos;
  }));
  CHECK(info().status == run_status::timed_out);
}

TEST_CASE_METHOD(run_of_agent, "a paused sandbox does not hold the end, and obeys when it goes on",
                 "[agents]") {
  begin();
  read_for(200ms);
  pause(true);
  ask(agent, cancel_agent_run{});
  read_for(15s);
  check_end(130, false, true);
  CHECK(has_group());
  pause(false);
  advance(6s);
  CHECK_FALSE(has_group());
}

TEST_CASE_METHOD(run_of_agent, "what a killed agent still prints after the end was told is nobody's",
                 "[agents]") {
  begin();
  read_for(200ms);
  pause(true);
  ask(agent, cancel_agent_run{});
  read_for(20s);
  check_end(130, false, true);
  box->print("late\n");
  box->changes.push_back(watch_event{"created", "late.txt", {}, false});
  pause(false);
  for (int i = 0; i < 20; ++i)
    advance(500ms);
  CHECK_FALSE(has_group());
  CHECK(info().status == run_status::cancelled);
}

TEST_CASE_METHOD(run_of_agent,
                 "a sandbox that does not answer cannot hold the end of a run that never started",
                 "[agents]") {
  box->silent = true;
  begin();
  read_for(200ms);
  CHECK(*ask(agent, cancel_agent_run{}));
  CHECK(has_group());
  read_for(6s);
  check_end(130, false, true);
  CHECK(box->spec.argv.empty());
  CHECK_FALSE(has_group()); // if it starts after all, it has none to be in, and does not run
}

TEST_CASE_METHOD(run_of_agent, "who goes on writing files does not hold the end", "[agents]") {
  box->restless = true;
  begin();
  read_for(200ms);
  box->exit(0);
  read_for(2s);
  check_end(0, true, false);
}

TEST_CASE_METHOD(run_of_agent, "a run that nobody ever reads ends", "[agents]") {
  begin();
  for (int i = 0; i < 90; ++i)
    advance(500ms);
  CHECK(info().status == run_status::cancelled);
  CHECK_FALSE(has_group());
}

TEST_CASE_METHOD(run_of_agent, "a kill that fails is tried again", "[agents]") {
  begin();
  read_for(200ms);
  driver.fail_end_group = true;
  ask(agent, cancel_agent_run{});
  read_for(5s);
  CHECK(has_group());
  driver.fail_end_group = false;
  read_for(3s);
  CHECK_FALSE(has_group());
  check_end(130, false, true);
}

TEST_CASE_METHOD(run_of_agent, "the guest ends an agent that no server ends", "[agents]") {
  begin(60'000);
  read_for(100ms);
  CHECK(box->spec.timeout == 90s);
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

TEST_CASE_METHOD(run_of_agent, "without a reader the run ends, after a grace", "[agents]") {
  begin();
  read_for(200ms);
  caf::anon_send(agent, leave_agent_run{});
  run();
  advance(4s);
  CHECK(box->signals.empty());
  for (int i = 0; i < 12; ++i)
    advance(500ms);
  CHECK(box->signals == std::vector<int>{SIGINT});
  CHECK_FALSE(has_group());
  CHECK(info().status == run_status::cancelled);
}

TEST_CASE_METHOD(run_of_agent, "a slow reader slows the agent, and loses nothing", "[agents]") {
  begin();
  for (int i = 0; i < 100; ++i)
    box->print(std::to_string(i) + "\n");
  box->exit(0);
  advance(4s);
  CHECK(box->taken < 20);
  read_for(500ms);
  check_end(0, true, false);
  int expected = 0;
  for (const auto& each : told)
    if (each["type"] == "output")
      CHECK(each["text"] == std::to_string(expected++));
  CHECK(expected == 100);
}

TEST_CASE_METHOD(run_of_agent, "the end of the sandbox is the end of the run, with its reason", "[agents]") {
  begin();
  box->events.push_back(fail(errc::sandbox_ended, "sandbox preempted"));
  read_for(200ms);
  check_end(137, false, false);
  CHECK(told.at(told.size() - 2)["error"] == "sandbox preempted");
  CHECK(info().status == run_status::sandbox_ended);
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

TEST_CASE_METHOD(run_of_agent, "a server that stops ends the run and says so", "[agents]") {
  begin();
  read_for(200ms);
  CHECK(*ask(agent, cancel_agent_run{true}));
  read_for(5s);
  check_end(130, false, true);
  CHECK(told.at(told.size() - 2)["error"] == "The server stops, and ended the agent");
  CHECK(driver.groups_ended == 1);
  CHECK(info().status == run_status::cancelled);
}

TEST_CASE_METHOD(run_of_agent, "a prompt for a web project is explained, unless the caller wants it raw",
                 "[agents]") {
  box->files.insert("/workspace/package.json");
  begin();
  read_for(100ms);
  CHECK(box->input.size() > std::string{"do it"}.size());
  CHECK(box->input.find("do it") != std::string::npos);
}
