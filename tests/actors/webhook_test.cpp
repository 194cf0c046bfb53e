#include "actors/webhook.hpp"

#include "actors/event_log.hpp"
#include "actors/webhook_keeper.hpp"
#include "machine.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::tests;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t capacity = 10;
const sandbox_id box{"46da12d345fb7c0146da12d3"};

/// A machine with an event log, a webhook, and a receiver that answers what the test says.
class hooked_machine : public machine {
public:
  hooked_machine() {
    settings.url = "https://example.com/secret-path";
    log = system.spawn<coro::actor<event_log_state, event_log_actor>>(&env, capacity);
    run();
  }
  ~hooked_machine() {
    stop_hook();
    kill(log);
    log = nullptr;
  }

  void start_hook() {
    hook = system.spawn<coro::actor<webhook_state, webhook_actor>>(
        &env, settings, log,
        webhook_post{[this](life_event event) { return receive(this, std::move(event)); }});
    caf::anon_send(hook, deliver_events{});
    run();
  }
  /// The same, by a keeper. The receiver's code has a bug: so many of the next tries throw.
  void start_kept_hook(int bugs) {
    throws = bugs;
    hook = system.spawn<coro::actor<webhook_keeper_state, webhook_actor>>([this] {
      ++spawned;
      return system.spawn<coro::actor<webhook_state, webhook_actor>>(
          &env, settings, log,
          webhook_post{[this](life_event event) { return receive(this, std::move(event)); }});
    });
    caf::anon_send(hook, deliver_events{});
    run();
  }
  void stop_hook() {
    if (hook)
      kill(hook);
    hook = nullptr;
  }
  void tell(const std::string& tenant, life_event_type type = life_event_type::created) {
    caf::anon_send(log, life_event{0, wall(), {tenant}, box, {}, type, end_reason::none});
    run();
  }
  double count(const std::string& outcome) const {
    auto text = numbers.expose();
    auto line = "sandy_webhook_deliveries_total{outcome=\"" + outcome + "\"} ";
    return std::stod(text.substr(text.find(line) + line.size()));
  }

  webhook_settings settings;
  event_log_actor log;
  webhook_actor hook;
  std::vector<std::uint64_t> received;  ///< numbers, one for each try
  std::deque<result<unsigned>> answers; ///< of the next tries; afterwards 204
  int throws = 0;
  int spawned = 0;

private:
  static coro::task<unsigned> receive(hooked_machine* here, life_event event) {
    if (here->throws > 0) {
      --here->throws;
      throw std::runtime_error("a bug");
    }
    here->received.push_back(event.sequence);
    if (here->answers.empty())
      co_return 204u;
    auto answer = std::move(here->answers.front());
    here->answers.pop_front();
    co_return std::move(answer);
  }
};

using sequences = std::vector<std::uint64_t>;

} // namespace

TEST_CASE_METHOD(hooked_machine, "a new webhook gets what happens from now on, each event once and in order",
                 "[webhook]") {
  tell("alice");
  start_hook();
  CHECK(received.empty());
  tell("alice");
  tell("bob");
  CHECK(received == sequences{2, 3});
  advance(1h);
  CHECK(received == sequences{2, 3});
  CHECK(count("delivered") == 2);
}

TEST_CASE_METHOD(hooked_machine, "a webhook gets the events of its tenant and of its types only",
                 "[webhook]") {
  settings.tenant.value = "alice";
  settings.events = {life_event_type::ended};
  start_hook();
  tell("alice");
  tell("bob", life_event_type::ended);
  tell("alice", life_event_type::ended);
  CHECK(received == sequences{3});
}

TEST_CASE_METHOD(hooked_machine, "a try that failed is repeated, later each time, before the next event",
                 "[webhook]") {
  start_hook();
  answers = {500u, fail(errc::upstream_error, "refused"), 302u};
  tell("alice");
  tell("alice");
  CHECK(received == sequences{1});
  advance(499ms);
  CHECK(received.size() == 1);
  advance(501ms); // one second at the latest
  CHECK(received.size() == 2);
  advance(2s);
  CHECK(received.size() == 3);
  advance(4s);
  CHECK(received == sequences{1, 1, 1, 1, 2});
  CHECK(count("retried") == 3);
  CHECK(count("delivered") == 2);
}

TEST_CASE_METHOD(hooked_machine, "an event that nobody takes is given up after eight tries", "[webhook]") {
  start_hook();
  for (int i = 0; i < 8; ++i)
    answers.emplace_back(503u);
  tell("alice");
  tell("alice");
  for (int i = 0; i < 10; ++i)
    advance(5min);
  CHECK(received == sequences{1, 1, 1, 1, 1, 1, 1, 1, 2});
  CHECK(count("failed") == 1);
}

TEST_CASE_METHOD(hooked_machine, "a receiver that is gone gets nothing more", "[webhook]") {
  start_hook();
  answers = {410u};
  tell("alice");
  tell("alice");
  advance(1h);
  CHECK(received == sequences{1});
  CHECK(count("gone") == 1);
}

TEST_CASE_METHOD(hooked_machine, "an address that is not allowed is not tried again for the same event",
                 "[webhook]") {
  start_hook();
  answers = {fail(errc::forbidden, "private")};
  tell("alice");
  tell("alice");
  CHECK(received == sequences{1, 2});
  CHECK(count("forbidden") == 1);
}

TEST_CASE_METHOD(hooked_machine,
                 "a receiver that is slower than the history loses the oldest, and it is counted",
                 "[webhook]") {
  start_hook();
  answers = {500u};
  tell("alice");
  for (int i = 0; i < 14; ++i)
    tell("alice");
  CHECK(received == sequences{1});
  advance(1s);
  CHECK(received == sequences{1, 1, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15});
  CHECK(count("dropped") == 4);
}

TEST_CASE_METHOD(hooked_machine, "after a restart a webhook goes on where it was", "[webhook]") {
  start_hook();
  tell("alice");
  stop_hook();
  tell("alice");
  tell("bob");
  start_hook();
  CHECK(received == sequences{1, 2, 3});
}

TEST_CASE_METHOD(hooked_machine, "an event whose delivery was interrupted is delivered again", "[webhook]") {
  start_hook();
  answers = {500u};
  tell("alice");
  stop_hook();
  start_hook();
  CHECK(received == sequences{1, 1});
  CHECK(count("delivered") == 1);
}

TEST_CASE_METHOD(hooked_machine, "a webhook ends with the log", "[webhook]") {
  start_hook();
  caf::anon_send(log, close_events{});
  run();
  tell("alice"); // stored: the next server delivers it
  CHECK(received.empty());
  stop_hook();
}

TEST_CASE_METHOD(hooked_machine, "a webhook that dies of a bug is started again, and misses nothing",
                 "[webhook]") {
  start_kept_hook(2);
  tell("alice");
  tell("alice");
  CHECK(received.empty());
  CHECK(spawned == 1);
  advance(1s);
  CHECK(spawned == 2); // and dies again: the next pause is longer
  advance(1s);
  CHECK(spawned == 2);
  advance(1s);
  CHECK(spawned == 3);
  CHECK(received == sequences{1, 2});
}

TEST_CASE_METHOD(hooked_machine, "a webhook whose receiver wants no more is not started again", "[webhook]") {
  start_kept_hook(0);
  answers.push_back(410u);
  tell("alice");
  advance(120s);
  tell("alice");
  CHECK(received == sequences{1});
  CHECK(spawned == 1);
}
