#include "coro/pool.hpp"

#include "coro/ask.hpp"
#include "coro/io.hpp"
#include "coro/probe.hpp"
#include "messages/type_ids.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_future.hpp>

#include <catch2/catch.hpp>

#include <unistd.h>

#include <future>
#include <optional>
#include <tuple>

using namespace sandy;
using namespace sandy::tests;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

using number = std::uint32_t;

/// A pool with an actor system on it, as the server has it.
struct running {
  struct configuration : caf::actor_system_config {
    explicit configuration(coro::pool& threads) {
      register_messages(*this);
      threads.use_for(*this);
    }
  };
  running()
      : threads(2)
      , config(threads)
      , system(config) {
    threads.start_bridges(system);
  }
  ~running() {
    system.await_all_actors_done();
    threads.stop_bridges();
  }

  /// Runs an edge coroutine on a thread of the pool and waits for it.
  template <class T>
  T on_edge(io_task<T> work, std::size_t thread = 0) {
    std::optional<T> outcome; // Asio wants default constructible results
    auto run = [](io_task<T> inner, std::optional<T>* to) -> io_task<void> {
      auto value = co_await std::move(inner);
      to->emplace(std::move(value));
    };
    asio::co_spawn(threads.context(thread), run(std::move(work), &outcome), asio::use_future).get();
    return std::move(*outcome);
  }

  coro::pool threads;
  configuration config;
  caf::actor_system system;
};

io_task<result<number>> ask_probe(probe_actor actor, std::chrono::milliseconds timeout) {
  auto answer = co_await ask(actor, sweep{}, timeout);
  co_return answer;
}

} // namespace

TEST_CASE_METHOD(running, "an edge coroutine asks an actor", "[pool]") {
  auto actor = spawn_probe(system, [](auto*) -> coro::task<number> {
    co_await coro::sleep_for(2ms);
    co_return 5u;
  });
  for (std::size_t thread : {0, 1})
    for (int i = 0; i < 20; ++i)
      REQUIRE(*on_edge(ask_probe(actor, 10s), thread) == 5);
}

TEST_CASE_METHOD(running, "an edge coroutine's question times out", "[pool]") {
  auto actor = spawn_probe(system, [](auto*) -> coro::task<number> {
    co_await coro::sleep_for(1h);
    co_return 5u;
  });
  auto answer = on_edge(ask_probe(actor, 5ms));
  CHECK(code_of(answer.error()) == errc::deadline_exceeded);
  coro::end(actor);
}

TEST_CASE_METHOD(running, "an edge coroutine's question to a dead actor fails at once", "[pool]") {
  auto actor = spawn_probe(system, [](auto* self) -> coro::task<number> {
    self->quit();
    co_return 1u;
  });
  CHECK(*on_edge(ask_probe(actor, 10s)) == 1);
  CHECK(code_of(on_edge(ask_probe(actor, 10s)).error()) == errc::sandbox_ended);
}

TEST_CASE_METHOD(running, "a question is cancelled with its coroutine", "[pool]") {
  auto actor = spawn_probe(system, [](auto*) -> coro::task<number> {
    co_await coro::sleep_for(1h);
    co_return 5u;
  });
  // Assertions belong to the test's own thread: what the pool's threads see is kept until they are done.
  errc outcome{};
  auto race = [&outcome](probe_actor whom) -> io_task<std::size_t> {
    using namespace asio::experimental::awaitable_operators;
    auto executor = co_await asio::this_coro::executor;
    asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>,
                               io_executor>
        soon{executor, 2ms};
    auto wait = [&]() -> io_task<void> { co_await soon.async_wait(asio::use_awaitable_t<io_executor>{}); };
    auto question = [&](probe_actor to) -> io_task<void> {
      auto answer = co_await ask(to, sweep{}, 1h);
      outcome = code_of(answer.error());
    };
    auto first = co_await (wait() || question(whom));
    co_return first.index();
  };
  CHECK(on_edge(race(actor)) == 0);
  CHECK(outcome == errc::cancelled);
  coro::end(actor);
}

TEST_CASE_METHOD(running, "an actor awaits an Asio operation", "[pool]") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
  auto actor = spawn_probe(system, [this, read_end = ends[0]](auto*) -> coro::task<number> {
    auto read = [](int fd) -> io_task<result<number>> {
      auto executor = co_await asio::this_coro::executor;
      asio::posix::basic_stream_descriptor<io_executor> pipe{executor, fd};
      char byte = 0;
      co_await pipe.async_read_some(asio::buffer(&byte, 1), asio::use_awaitable_t<io_executor>{});
      co_return static_cast<number>(byte);
    };
    auto got = co_await coro::io<number>(threads.here(), read(read_end));
    co_return std::move(got);
  });
  auto writer = [this](probe_actor to, int fd) -> io_task<result<number>> {
    // What is not written is missed by the answer.
    asio::post(threads.context(1), [fd] { std::ignore = ::write(fd, "A", 1); });
    auto answer = co_await ask(to, sweep{}, 10s);
    co_return answer;
  };
  CHECK(*on_edge(writer(actor, ends[1])) == 'A');
  ::close(ends[1]);
}

TEST_CASE_METHOD(running, "an actor that ends cancels the Asio operation it waited for", "[pool]") {
  struct guard {
    std::promise<void>* done;
    guard(std::promise<void>* p)
        : done(p) {}
    guard(const guard&) = delete;
    ~guard() { done->set_value(); }
  };
  std::promise<void> destroyed;
  std::promise<void> waiting;
  auto actor = spawn_probe(system, [&](auto*) -> coro::task<number> {
    auto wait = [](std::promise<void>* begun, std::promise<void>* ended) -> io_task<result<number>> {
      guard on_end{ended};
      auto executor = co_await asio::this_coro::executor;
      asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>,
                                 io_executor>
          long_time{executor, 1h};
      begun->set_value();
      co_await long_time.async_wait(asio::use_awaitable_t<io_executor>{});
      co_return 0u;
    };
    auto got = co_await coro::io<number>(threads.here(), wait(&waiting, &destroyed));
    co_return std::move(got);
  });
  caf::anon_send(actor, sweep{});
  waiting.get_future().wait();
  coro::end(actor);
  CHECK(destroyed.get_future().wait_for(10s) == std::future_status::ready);
}

TEST_CASE_METHOD(running, "a blocking call runs elsewhere and its outcome comes back", "[pool]") {
  auto offload = coro::on_pool(threads.blocking());
  auto actor = spawn_probe(system, [this, offload](auto*) -> coro::task<number> {
    auto here = threads.current();
    auto elsewhere = co_await coro::blocking<number>(
        offload, [this]() -> result<number> { return static_cast<number>(threads.current()); });
    co_return here < threads.size() && *elsewhere == threads.size() ? 1u : 0u;
  });
  CHECK(*on_edge(ask_probe(actor, 10s)) == 1);
}

TEST_CASE("a pool with thousands of actors in flight shuts down cleanly", "[pool]") {
  const int before = tracked::alive;
  {
    running server;
    auto slow = spawn_probe(server.system, [](auto*) -> coro::task<number> {
      co_await coro::sleep_for(1h);
      co_return 0u;
    });
    std::vector<probe_actor> actors;
    for (int i = 0; i < 2000; ++i) {
      actors.push_back(spawn_probe(server.system, [slow](auto*) -> coro::task<number> {
        auto reply = co_await coro::request(slow, 1h, sweep{});
        co_return std::move(reply);
      }));
      caf::anon_send(actors.back(), sweep{});
    }
    for (auto& each : actors)
      coro::end(each);
    coro::end(slow);
  }
  CHECK(tracked::alive == before);
}
