#include "actors/event_log.hpp"
#include "machine.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace sandy;
using namespace sandy::tests;
using namespace std::chrono_literals;

namespace {

const tenant_id alice{"alice"};
const tenant_id bob{"bob"};
constexpr std::size_t capacity = 10;

/// A machine with an event log. Writing an event to the store takes as long as the test wants.
class logged_machine : public machine {
public:
  logged_machine() {
    env.store_calls = [this](std::function<void()> call) {
      if (store_held)
        store_queue.push_back(std::move(call));
      else
        call();
    };
    env.publish = [this](life_event event) { caf::anon_send(log, std::move(event)); };
    open_log();
  }
  ~logged_machine() {
    store_held = false;
    finish_writes();
    if (worker)
      kill(worker);
    close_log();
  }

  void open_log() {
    log = system.spawn<coro::actor<event_log_state, event_log_actor>>(&env, capacity);
    run();
  }
  void close_log() {
    kill(log);
    log = nullptr;
  }
  void finish_writes() {
    while (!store_queue.empty()) {
      auto call = std::move(store_queue.front());
      store_queue.pop_front();
      call();
      run();
    }
  }
  void tell(const tenant_id& tenant, int box, life_event_type type = life_event_type::created,
            int parent = -1) {
    caf::anon_send(log, life_event{0, wall(), tenant, id_of(box), parent < 0 ? sandbox_id{} : id_of(parent),
                                   type, end_reason::none});
  }
  static sandbox_id id_of(int box) { return {"46da12d345fb7c0146da12d" + std::to_string(box)}; }

  read_events from(std::uint64_t after, const principal& caller = alice) const {
    read_events question;
    question.caller = caller;
    question.after = after;
    return question;
  }
  event_page read(const read_events& question) {
    auto page = ask(log, question);
    REQUIRE(page);
    return *page;
  }

  event_log_actor log;
  bool store_held = false;
  std::deque<std::function<void()>> store_queue;
};

/// The answer to a question; may be looked at once.
event_page answer_of(const tests::question<event_page>& asked) {
  auto answer = asked.answer();
  REQUIRE(answer);
  REQUIRE(*answer);
  return **answer;
}

std::vector<std::uint64_t> numbers_of(const event_page& page) {
  std::vector<std::uint64_t> numbers;
  for (const auto& event : page.events)
    numbers.push_back(event.sequence);
  return numbers;
}

std::vector<std::string> types_of(const event_page& page) {
  std::vector<std::string> types;
  for (const auto& event : page.events)
    types.push_back(to_string(event.type));
  return types;
}

using sequences = std::vector<std::uint64_t>;
using names = std::vector<std::string>;

} // namespace

TEST_CASE_METHOD(logged_machine, "events are numbered in their order and read on behind a number",
                 "[events]") {
  for (int box : {1, 2, 3})
    tell(alice, box);
  run();
  auto page = read(from(0));
  CHECK(numbers_of(page) == sequences{1, 2, 3});
  CHECK(page.events[1].sandbox == id_of(2));
  CHECK(page.next == 3);
  CHECK(page.missing_to == 0);
  CHECK(numbers_of(read(from(2))) == sequences{3});
  auto none = read(from(3));
  CHECK(none.events.empty());
  CHECK(none.next == 3);
}

TEST_CASE_METHOD(logged_machine, "a page holds at most what was asked for, and the next goes on",
                 "[events]") {
  for (int box : {1, 2, 3})
    tell(alice, box);
  run();
  auto question = from(0);
  question.limit = 2;
  auto page = read(question);
  CHECK(numbers_of(page) == sequences{1, 2});
  question.after = page.next;
  CHECK(numbers_of(read(question)) == sequences{3});
  question.limit = 0;
  CHECK(read(question).next == 3);
}

TEST_CASE_METHOD(logged_machine,
                 "a tenant reads its own events, a sandbox those of itself and its descendants", "[events]") {
  tell(alice, 1);
  tell(bob, 2);
  tell(alice, 3, life_event_type::created, 1);
  tell(alice, 4);
  run();
  CHECK(numbers_of(read(from(0, alice))) == sequences{1, 3, 4});
  CHECK(numbers_of(read(from(0, bob))) == sequences{2});
  CHECK(numbers_of(read(from(0, {alice, id_of(1)}))) == sequences{1, 3});
  CHECK(numbers_of(read(from(0, {bob, id_of(1)}))).empty());
  CHECK(read(from(0, tenant_id{})).events.empty());
  auto everything = from(0, tenant_id{});
  everything.every_tenant = true;
  CHECK(numbers_of(read(everything)) == sequences{1, 2, 3, 4});
}

TEST_CASE_METHOD(logged_machine, "a sandbox sees its descendants of any depth, also after a restart",
                 "[events]") {
  tell(alice, 1);
  tell(alice, 2, life_event_type::created, 1);
  tell(alice, 3, life_event_type::created, 2);
  tell(alice, 4, life_event_type::created, 3);
  tell(alice, 5);
  tell(alice, 4, life_event_type::ended, 3);
  run();
  SECTION("at once") {}
  SECTION("after a restart") {
    close_log();
    open_log();
  }
  CHECK(numbers_of(read(from(0, {alice, id_of(1)}))) == sequences{1, 2, 3, 4, 6});
  CHECK(numbers_of(read(from(0, {alice, id_of(2)}))) == sequences{2, 3, 4, 6});
  CHECK(numbers_of(read(from(0, {alice, id_of(4)}))) == sequences{4, 6});
  CHECK(numbers_of(read(from(0, {alice, id_of(5)}))) == sequences{5});
}

TEST_CASE_METHOD(logged_machine, "a sandbox sees a descendant whose birth is no longer kept", "[events]") {
  tell(alice, 1);
  tell(alice, 2, life_event_type::created, 1);
  run();
  for (std::size_t i = 0; i < capacity; ++i)
    tell(alice, 5, life_event_type::renewed);
  tell(alice, 3, life_event_type::created, 2);
  run();
  CHECK(read(from(capacity + 2, {alice, id_of(1)})).events.size() == 1);
}

TEST_CASE_METHOD(logged_machine, "what happens to a sandbox without an owner is not recorded", "[events]") {
  tell(tenant_id{}, 1);
  run();
  CHECK(records.told.empty());
}

TEST_CASE_METHOD(logged_machine, "events are filtered by sandbox and by type", "[events]") {
  tell(alice, 1);
  tell(alice, 2);
  tell(alice, 1, life_event_type::ended);
  run();
  auto question = from(0);
  question.sandbox = id_of(1);
  CHECK(numbers_of(read(question)) == sequences{1, 3});
  question.types = {life_event_type::ended, life_event_type::failed};
  auto page = read(question);
  CHECK(numbers_of(page) == sequences{3});
  question.types = {life_event_type::failed};
  CHECK(read(question).next == 3); // looked at, and not to be looked at again
}

TEST_CASE_METHOD(logged_machine,
                 "a question waits for an event that it wants, and not for longer than it says", "[events]") {
  auto question = from(0);
  question.wait_ms = 10'000;
  auto asked = send(log, question);
  run();
  tell(bob, 1);
  run();
  CHECK_FALSE(asked.answered());
  SECTION("the event comes") {
    tell(alice, 2);
    run();
    CHECK(numbers_of(answer_of(asked)) == sequences{2});
  }
  SECTION("nothing comes") {
    advance(9'999ms);
    CHECK_FALSE(asked.answered());
    advance(1ms);
    auto page = answer_of(asked);
    CHECK(page.events.empty());
    CHECK(page.next == 1);
  }
  SECTION("the server stops") {
    caf::anon_send(log, close_events{});
    run();
    CHECK(answer_of(asked).closing);
    tell(alice, 2); // what still happens is not kept from those who ask
    run();
    CHECK(numbers_of(read(question)) == sequences{2});
  }
}

TEST_CASE_METHOD(logged_machine, "many who wait are all answered by one event", "[events]") {
  auto question = from(0);
  question.wait_ms = 10'000;
  std::vector<tests::question<event_page>> asked;
  for (int i = 0; i < 50; ++i)
    asked.push_back(send(log, question));
  run();
  tell(alice, 1);
  run();
  CHECK(std::all_of(asked.begin(), asked.end(), [](const auto& each) { return each.succeeded(); }));
}

TEST_CASE_METHOD(logged_machine, "who reads behind the history is told which numbers are missing, once",
                 "[events]") {
  for (int i = 0; i < 14; ++i)
    tell(alice, i % 10);
  run();
  CHECK(records.told.size() == capacity);
  auto page = read(from(1));
  CHECK(page.missing_from == 2);
  CHECK(page.missing_to == 4);
  CHECK(page.events.empty());
  auto rest = read(from(page.next));
  CHECK(rest.missing_to == 0);
  CHECK(rest.events.size() == capacity);
  CHECK(rest.events.front().sequence == 5);
  auto fresh = read(from(0)); // asked for nothing in particular
  CHECK(fresh.missing_to == 0);
  CHECK(fresh.events.front().sequence == 5);
}

TEST_CASE_METHOD(logged_machine, "a number from another history starts over", "[events]") {
  tell(alice, 1);
  run();
  CHECK(numbers_of(read(from(77))) == sequences{1});
}

TEST_CASE_METHOD(logged_machine, "a burst is few transactions, and nobody sees what is not stored",
                 "[events]") {
  store_held = true;
  for (int i = 0; i < 9; ++i)
    tell(alice, i);
  run();
  CHECK(read(from(0)).events.empty());
  auto settled = send(log, settle_events{});
  run();
  CHECK_FALSE(settled.answered());
  finish_writes();
  CHECK(records.event_writes == 2); // the first, and those that came meanwhile
  CHECK(settled.succeeded());
  CHECK(read(from(0)).events.size() == 9);
}

TEST_CASE_METHOD(logged_machine, "after a restart history and numbers go on", "[events]") {
  for (int i = 0; i < 12; ++i)
    tell(alice, i % 10);
  run();
  close_log();
  open_log();
  CHECK(numbers_of(read(from(10))) == sequences{11, 12});
  tell(alice, 1, life_event_type::ended);
  run();
  CHECK(numbers_of(read(from(11))) == sequences{12, 13});
  CHECK(read(from(1)).missing_to == 3);
}

TEST_CASE_METHOD(logged_machine,
                 "what the store refuses is written later, in order, within a bound that is told",
                 "[events]") {
  records.full = true;
  tell(alice, 1);
  run(); // this one is being written
  for (int i = 0; i < 13; ++i)
    tell(alice, i % 10, life_event_type::renewed);
  run();
  CHECK(read(from(0)).events.empty());
  records.full = false;
  advance(1s);
  auto page = read(from(0));
  CHECK(page.events.size() == capacity);
  CHECK(page.events.back().sequence == 14);
  CHECK(page.events.front().sequence == 5);
  CHECK(read(from(1)).missing_from == 2);
  CHECK(read(from(1)).missing_to == 4);
}

TEST_CASE_METHOD(logged_machine, "a sandbox's life is told: created, renewed, ending, ended", "[events]") {
  start();
  auto made = ask(worker, wanted());
  REQUIRE(made);
  REQUIRE(ask(worker, refresh_sandbox{alice, made->id, 60}));
  REQUIRE(ask(worker, terminate_sandbox{alice, made->id}));
  auto page = read(from(0));
  CHECK(types_of(page) == names{"sandbox.created", "sandbox.renewed", "sandbox.ending", "sandbox.ended"});
  for (const auto& event : page.events) {
    CHECK(event.sandbox == made->id);
    CHECK(event.at == wall());
    CHECK((event.reason == end_reason::terminated) == (event.sequence > 2));
  }
}

TEST_CASE_METHOD(logged_machine, "a sandbox that cannot be made has failed and ended, and was never created",
                 "[events]") {
  start();
  driver.fail_create = true;
  REQUIRE_FALSE(ask(worker, wanted()));
  auto page = read(from(0));
  CHECK(types_of(page) == names{"sandbox.failed", "sandbox.ended"});
  CHECK(page.events.back().reason == end_reason::failed);
}

TEST_CASE_METHOD(logged_machine, "a sandbox whose actor crashes is told to have failed and ended",
                 "[events]") {
  start();
  auto made = ask(worker, wanted());
  REQUIRE(made);
  broken_clock = true;
  send(worker, refresh_sandbox{alice, made->id, 60});
  run();
  advance(1s);
  CHECK(nothing_left());
  CHECK(types_of(read(from(0))) == names{"sandbox.created", "sandbox.failed", "sandbox.ended"});
}

TEST_CASE_METHOD(logged_machine, "children name their parent, and their end comes before its end",
                 "[events]") {
  start();
  auto parent = ask(worker, wanted());
  REQUIRE(parent);
  auto request = wanted();
  request.parent = parent->id;
  auto child = ask(worker, request);
  REQUIRE(child);
  REQUIRE(ask(worker, terminate_sandbox{alice, parent->id}));
  auto page = read(from(0));
  CHECK(types_of(page) == names{"sandbox.created", "sandbox.created", "sandbox.ending", "sandbox.ending",
                                "sandbox.ended", "sandbox.ended"});
  CHECK(page.events[1].parent == parent->id);
  CHECK(page.events[4].sandbox == child->id);
  CHECK(page.events[4].reason == end_reason::parent_ended);
  CHECK(page.events[5].sandbox == parent->id);
}
