#include "coro/stream.hpp"

#include "coro/probe.hpp"
#include "support/deterministic.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::tests;
using namespace std::chrono_literals;

namespace {

using number = std::uint32_t;

/// Pulls log lines: `tail` is the credit.
using lines_actor = caf::typed_actor<caf::replies_to<get_logs>::with<std::vector<log_line>>>;

struct lines_state {
  static inline const char* name = "lines";
  lines_state(coro::actor<lines_state, lines_actor>*, int n, std::size_t capacity, std::size_t* peak)
      : count(n)
      , pipe(capacity)
      , most(peak) {}
  lines_actor::behavior_type make_behavior() {
    coro::spawn(produce());
    return {[this](get_logs pull) { return take(pull); }};
  }
  caf::result<std::vector<log_line>> take(get_logs pull) {
    auto batch = co_await pipe.take(pull.tail);
    co_return std::move(batch);
  }
  coro::task<void> produce() {
    for (int i = 0; i < count; ++i) {
      co_await pipe.push(log_line{i, "test", "line"});
      *most = std::max(*most, pipe.size());
    }
    pipe.close();
    co_return caf::unit;
  }

  int count;
  coro::channel<log_line> pipe;
  std::size_t* most;
};

probe_body consume(lines_actor producer, number credit) {
  return [producer, credit](auto*) -> coro::task<number> {
    get_logs pull;
    pull.tail = credit;
    coro::source<log_line, lines_actor, get_logs> lines{producer, pull, 10s};
    number seen = 0;
    for (;;) {
      auto line = co_await lines.next();
      if (!line)
        co_return std::move(line.error());
      if (!*line)
        co_return seen;
      CHECK((*line)->timestamp == seen);
      ++seen;
    }
  };
}

} // namespace

TEST_CASE_METHOD(deterministic, "a stream delivers every item in order within its bounds", "[coro]") {
  auto credit = GENERATE(1u, 7u, 64u);
  std::size_t most = 0;
  auto producer = system.spawn<coro::actor<lines_state, lines_actor>>(1000, std::size_t{16}, &most);
  auto consumer = spawn_probe(system, consume(producer, credit));
  auto seen = ask(consumer, sweep{});
  REQUIRE(seen);
  CHECK(*seen == 1000);
  CHECK(most <= 16);
}

TEST_CASE_METHOD(deterministic, "a producer without a consumer stops at its bound", "[coro]") {
  std::size_t most = 0;
  auto producer = system.spawn<coro::actor<lines_state, lines_actor>>(1000, std::size_t{16}, &most);
  run();
  CHECK(most == 16);
}

TEST_CASE_METHOD(deterministic, "the consumer hears that its producer died", "[coro]") {
  std::size_t most = 0;
  auto producer = system.spawn<coro::actor<lines_state, lines_actor>>(0, std::size_t{1}, &most);
  run();
  kill(producer);
  auto consumer = spawn_probe(system, consume(producer, 4));
  CHECK(code_of(ask(consumer, sweep{}).error()) == errc::sandbox_ended);
}
