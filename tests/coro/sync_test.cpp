#include "coro/probe.hpp"

#include "support/deterministic.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::tests;
using namespace std::chrono_literals;

namespace {

using number = std::uint32_t;

} // namespace

TEST_CASE_METHOD(deterministic, "a semaphore lets so many in and serves the rest in order", "[coro]") {
  auto state = std::make_shared<coro::semaphore>(2);
  std::vector<int> order;
  auto actor = spawn_probe(system, [&, state](auto*) -> coro::task<number> {
    auto work = [&, state](int id) -> coro::task<number> {
      auto permit = co_await state->acquire();
      order.push_back(id);
      co_await coro::sleep_for(1s);
      co_return 0u;
    };
    std::vector<coro::task<number>> all;
    for (int i = 0; i < 5; ++i)
      all.push_back(work(i));
    co_await coro::when_all(std::move(all));
    co_return static_cast<number>(state->available());
  });
  auto asked = send(actor, sweep{});
  run();
  CHECK(order == std::vector<int>{0, 1});
  advance(1s);
  CHECK(order == std::vector<int>{0, 1, 2, 3});
  advance(1s);
  advance(1s);
  REQUIRE(asked.answered());
  CHECK(**asked.answer() == 2);
}

TEST_CASE_METHOD(deterministic, "a permit granted to a frame that is destroyed goes to the next", "[coro]") {
  auto actor = spawn_probe(system, [](auto*) -> coro::task<number> {
    coro::semaphore one{1};
    auto holder = [&one]() -> coro::task<number> {
      auto permit = co_await one.acquire();
      co_await coro::sleep_for(1s);
      co_return 1u;
    };
    auto first = holder();
    auto second = holder();
    auto third = holder();
    first.start();
    second.start();
    third.start();
    second.reset(); // leaves the queue
    co_await coro::sleep_for(1s);
    co_await first;
    auto outcome = co_await third;
    co_return *outcome + static_cast<number>(one.available());
  });
  auto asked = send(actor, sweep{});
  run();
  for (int i = 0; i < 3; ++i)
    advance(1s);
  REQUIRE(asked.answered());
  CHECK(**asked.answer() == 2);
}

TEST_CASE_METHOD(deterministic, "an event wakes all who wait and nobody waits after it", "[coro]") {
  auto actor = spawn_probe(system, [](auto*) -> coro::task<number> {
    coro::event happened;
    number woken = 0;
    auto wait = [&]() -> coro::task<number> {
      co_await happened.wait();
      ++woken;
      co_return 0u;
    };
    std::vector<coro::task<number>> waits;
    for (int i = 0; i < 3; ++i)
      waits.push_back(wait());
    for (auto& each : waits)
      each.start();
    CHECK(woken == 0);
    happened.set();
    CHECK(woken == 0); // never inside of set
    co_await coro::when_all(std::move(waits));
    co_await happened.wait();
    co_return woken;
  });
  CHECK(*ask(actor, sweep{}) == 3);
}

TEST_CASE_METHOD(deterministic, "a full channel makes the producer wait, a closed one ends both sides",
                 "[coro]") {
  std::size_t most = 0;
  auto actor = spawn_probe(system, [&most](auto*) -> coro::task<number> {
    coro::channel<int> pipe{3};
    auto produce = [&]() -> coro::task<void> {
      for (int i = 0; i < 100; ++i) {
        co_await pipe.push(i);
        most = std::max(most, pipe.size());
      }
      pipe.close();
      auto refused = co_await pipe.push(0);
      CHECK(code_of(refused.error()) == errc::cancelled);
      co_return caf::unit;
    };
    coro::spawn(produce());
    number sum = 0;
    for (;;) {
      auto batch = co_await pipe.take(2);
      if (batch->empty())
        break;
      CHECK(batch->size() <= 2);
      for (auto each : *batch)
        sum += static_cast<number>(each);
      co_await coro::sleep_for(1ms);
    }
    co_return sum;
  });
  auto asked = send(actor, sweep{});
  run();
  for (int i = 0; i < 120; ++i)
    advance(1ms);
  REQUIRE(asked.answered());
  CHECK(**asked.answer() == 4950);
  CHECK(most == 3);
}
