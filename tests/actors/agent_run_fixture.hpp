#pragma once

#include "actors/agent_run.hpp"
#include "coro/timer.hpp"
#include "machine.hpp"

#include <nlohmann/json.hpp>

#include <catch2/catch.hpp>

#include <signal.h>

#include <deque>

namespace sandy::tests {

using namespace std::chrono_literals;

/// A sandbox that does what the test says. What waits looks again every 10 ms of the test's clock.
struct scripted_agent_box final : agent_box {
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

  std::shared_ptr<scripted_agent_box> box = std::make_shared<scripted_agent_box>();
  agent_run_actor agent;
  bool dies = true; ///< tells its end when it is killed
  std::vector<nlohmann::json> told;
  std::optional<sandy::tests::question<agent_events>> reading;
};

} // namespace sandy::tests
