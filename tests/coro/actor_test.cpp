#include "coro/probe.hpp"

#include "support/deterministic.hpp"

#include <catch2/catch.hpp>

#include <stdexcept>

using namespace sandy;
using namespace sandy::tests;
using namespace std::chrono_literals;

namespace {

using number = std::uint32_t;

} // namespace

TEST_CASE_METHOD(deterministic, "a handler that never suspends answers at once", "[coro]") {
  auto actor = spawn_probe(system, [](auto*) -> coro::task<number> { co_return 3u; });
  CHECK(*ask(actor, sweep{}) == 3);
}

TEST_CASE_METHOD(deterministic, "a handler awaits another actor", "[coro]") {
  probe_actor echo = system.spawn<plain_echo>();
  auto actor = spawn_probe(system, [echo](auto*) -> coro::task<number> {
    auto reply = co_await coro::request(echo, 1s, sweep{});
    co_return *reply + 1;
  });
  CHECK(*ask(actor, sweep{}) == 8);
}

TEST_CASE_METHOD(deterministic, "a request times out in virtual time, and a late answer is dropped",
                 "[coro]") {
  auto slow = spawn_probe(system, [](auto*) -> coro::task<number> {
    co_await coro::sleep_for(30s);
    co_return 1u;
  });
  auto actor = spawn_probe(system, [slow](auto*) -> coro::task<number> {
    auto reply = co_await coro::request(slow, 10s, sweep{});
    co_return std::move(reply);
  });
  auto asked = send(actor, sweep{});
  run();
  advance(9999ms);
  CHECK_FALSE(asked.answered());
  advance(1ms);
  REQUIRE(asked.answered());
  CHECK(code_of(asked.answer()->error()) == errc::deadline_exceeded);
  advance(60s); // the late answer arrives, and hurts nobody
  asked = send(actor, sweep{});
  run();
  CHECK_FALSE(asked.answered()); // still alive, and waiting again
  kill(slow);
  CHECK(code_of(asked.answer()->error()) == errc::sandbox_ended);
}

TEST_CASE_METHOD(deterministic, "a request to a dead actor fails at once", "[coro]") {
  probe_actor echo = system.spawn<plain_echo>();
  kill(echo);
  auto actor = spawn_probe(system, [echo](auto*) -> coro::task<number> {
    auto reply = co_await coro::request(echo, coro::infinite, sweep{});
    co_return std::move(reply);
  });
  auto answer = ask(actor, sweep{});
  CHECK(code_of(answer.error()) == errc::sandbox_ended);
}

TEST_CASE_METHOD(deterministic, "timers fire in the order of their deadlines", "[coro]") {
  std::vector<int> order;
  auto nap = [&order](std::chrono::milliseconds time, int id) -> coro::task<number> {
    co_await coro::sleep_for(time);
    order.push_back(id);
    co_return 0u;
  };
  auto actor = spawn_probe(system, [nap](auto*) -> coro::task<number> {
    std::vector<coro::task<number>> naps;
    naps.push_back(nap(30ms, 3));
    naps.push_back(nap(10ms, 1));
    naps.push_back(nap(20ms, 2));
    naps.push_back(nap(10ms, 11));
    auto all = co_await coro::when_all(std::move(naps));
    co_return static_cast<number>(all->size());
  });
  auto asked = send(actor, sweep{});
  run();
  for (int i = 0; i < 3; ++i)
    advance(10ms);
  REQUIRE(asked.answered());
  CHECK(**asked.answer() == 4);
  CHECK(order == std::vector<int>{1, 11, 2, 3});
}

TEST_CASE_METHOD(deterministic, "the loser against a deadline is destroyed with all that it waits for",
                 "[coro]") {
  auto actor = spawn_probe(system, [](auto*) -> coro::task<number> {
    auto work = []() -> coro::task<number> {
      tracked in_child;
      co_await coro::sleep_for(1h);
      co_return 1u;
    };
    auto outcome = co_await coro::with_timeout(5s, work());
    co_return std::move(outcome);
  });
  auto asked = send(actor, sweep{});
  run();
  CHECK(tracked::alive == 2);
  advance(5s);
  REQUIRE(asked.answered());
  CHECK(code_of(asked.answer()->error()) == errc::deadline_exceeded);
  CHECK(tracked::alive == 0);
}

TEST_CASE_METHOD(deterministic, "errors are values and the actor lives on", "[coro]") {
  auto actor = spawn_probe(
      system, [](auto*) -> coro::task<number> { co_return fail(errc::capacity_exhausted, "full"); });
  for (int i = 0; i < 2; ++i) {
    auto answer = ask(actor, sweep{});
    CHECK(code_of(answer.error()) == errc::capacity_exhausted);
    CHECK(text_of(answer.error()) == "full");
  }
}

TEST_CASE_METHOD(deterministic, "an exception answers the caller and ends the actor", "[coro]") {
  auto suspends = GENERATE(false, true);
  auto actor = spawn_probe(system, [suspends](auto*) -> coro::task<number> {
    if (suspends)
      co_await coro::sleep_for(1ms);
    throw std::runtime_error("a bug");
    co_return 0u;
  });
  auto asked = send(actor, sweep{});
  run();
  advance(1ms);
  REQUIRE(asked.answered());
  CHECK(code_of(asked.answer()->error()) == errc::internal);
  CHECK(code_of(ask(actor, sweep{}).error()) == errc::sandbox_ended); // it is gone
  CHECK(tracked::alive == 0);
}

TEST_CASE_METHOD(deterministic,
                 "thousands of actors that end while suspended leave no frame and tell every caller",
                 "[coro]") {
  auto never = spawn_probe(system, [](auto*) -> coro::task<number> {
    co_await coro::sleep_for(24h);
    co_return 0u;
  });
  auto body = [never](auto*) -> coro::task<number> {
    auto inner = [never]() -> coro::task<number> {
      tracked deep;
      auto reply = co_await coro::request(never, 1h, sweep{});
      co_return std::move(reply);
    };
    std::vector<coro::task<number>> both;
    both.push_back(inner());
    both.push_back(inner());
    co_await coro::when_all(std::move(both));
    co_return 0u;
  };
  std::vector<probe_actor> actors;
  std::vector<question<number>> asked;
  for (int i = 0; i < 3000; ++i) {
    actors.push_back(spawn_probe(system, body));
    asked.push_back(send(actors.back(), sweep{}));
  }
  run();
  CHECK(tracked::alive == 3000 * 3 + 3000 * 2);
  for (std::size_t i = 0; i < actors.size(); ++i)
    caf::anon_send_exit(actors[i], i % 2 == 0 ? caf::exit_reason::kill : caf::exit_reason::user_shutdown);
  run();
  for (const auto& each : asked) {
    REQUIRE(each.answered());
    REQUIRE(code_of(each.answer()->error()) == errc::sandbox_ended);
  }
  kill(never);
  CHECK(tracked::alive == 0);
}

TEST_CASE_METHOD(deterministic, "an actor that nobody refers to dies although its handler is suspended",
                 "[coro]") {
  {
    auto lost = spawn_probe(system, [](auto*) -> coro::task<number> {
      tracked in_body;
      coro::event never;
      co_await never.wait();
      co_return 0u;
    });
    send(lost, sweep{});
    run();
    CHECK(tracked::alive == 2);
  }
  run();
  CHECK(tracked::alive == 0);
}

TEST_CASE_METHOD(deterministic, "background tasks end with their actor", "[coro]") {
  auto actor = spawn_probe(system, [](auto*) -> coro::task<number> {
    auto forever = []() -> coro::task<void> {
      tracked in_task;
      for (;;)
        co_await coro::sleep_for(1s);
    };
    coro::spawn(forever());
    coro::spawn(forever());
    co_return 2u;
  });
  CHECK(*ask(actor, sweep{}) == 2);
  advance(5s);
  CHECK(tracked::alive == 2);
  kill(actor);
  CHECK(tracked::alive == 0);
}

TEST_CASE_METHOD(deterministic, "a deep nest of tasks that finish at once does not grow the stack",
                 "[coro]") {
  auto actor = spawn_probe(system, [](auto*) -> coro::task<number> {
    auto leaf = []() -> coro::task<number> { co_return 1u; };
    number sum = 0;
    for (int i = 0; i < 200'000; ++i) {
      auto one = co_await leaf();
      sum += *one;
    }
    co_return sum;
  });
  CHECK(*ask(actor, sweep{}) == 200'000);
}
