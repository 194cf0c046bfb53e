// What the coroutine layer costs next to plain CAF, on the same scheduler in the same run. Compare the rows
// by pairs.

#include "coro/actor.hpp"
#include "coro/ask.hpp"
#include "coro/pool.hpp"
#include "coro/request.hpp"
#include "coro/timer.hpp"
#include "messages/type_ids.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <benchmark/benchmark.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

#include <future>
#include <memory>

namespace {

using namespace sandy;
using namespace std::chrono_literals;

// Answers `sweep{}`; a question of `rounds` round trips is asked with get_timeseries{rounds}.
using echo_actor = janitor_actor;
using driver_actor = caf::typed_actor<caf::replies_to<get_timeseries>::with<std::uint32_t>>;

echo_actor::behavior_type plain_echo(echo_actor::pointer) {
  return {[](sweep) -> std::uint32_t { return 1; }};
}

struct coro_echo_state {
  static inline const char* name = "echo";
  explicit coro_echo_state(coro::actor<coro_echo_state, echo_actor>*) {}
  echo_actor::behavior_type make_behavior() {
    return {[this](sweep request) { return answer(request); }};
  }
  caf::result<std::uint32_t> answer(sweep) { co_return 1u; }
};

struct coro_driver_state {
  static inline const char* name = "driver";
  coro_driver_state(coro::actor<coro_driver_state, driver_actor>*, echo_actor e, coro::duration t)
      : echo(std::move(e))
      , timeout(t) {}
  driver_actor::behavior_type make_behavior() {
    return {[this](get_timeseries request) { return run(request.hours); }};
  }
  caf::result<std::uint32_t> run(std::uint32_t rounds) {
    std::uint32_t sum = 0;
    for (std::uint32_t i = 0; i < rounds; ++i) {
      auto reply = co_await coro::request(echo, timeout, sweep{});
      sum += *reply;
    }
    co_return sum;
  }
  echo_actor echo;
  coro::duration timeout;
};

/// The same loop in CAF's own style: a chain of `then`.
class plain_driver final : public driver_actor::base {
public:
  plain_driver(caf::actor_config& config, echo_actor echo, caf::duration timeout)
      : driver_actor::base(config)
      , echo_(std::move(echo))
      , timeout_(timeout) {}

protected:
  behavior_type make_behavior() override {
    return {[this](get_timeseries request) -> caf::result<std::uint32_t> {
      left_ = request.hours;
      sum_ = 0;
      promise_ = make_response_promise<std::uint32_t>();
      step();
      return promise_;
    }};
  }

private:
  void step() {
    request(echo_, timeout_, sweep{}).then([this](std::uint32_t one) {
      sum_ += one;
      if (--left_ == 0)
        promise_.deliver(sum_);
      else
        step();
    });
  }
  echo_actor echo_;
  caf::duration timeout_;
  std::uint32_t left_ = 0;
  std::uint32_t sum_ = 0;
  caf::typed_response_promise<std::uint32_t> promise_;
};

/// One thread, so that both styles pay for the same wake-ups.
struct running {
  struct configuration : caf::actor_system_config {
    explicit configuration(coro::pool& threads) {
      register_messages(*this);
      threads.use_for(*this);
    }
  };
  running()
      : threads(1)
      , config(threads)
      , system(config) {
    threads.start_bridges(system);
  }
  ~running() {
    system.await_all_actors_done();
    threads.stop_bridges();
  }
  template <class Handle, class Message>
  void ask_from_edge(Handle actor, Message message) {
    auto question = [](Handle to, Message what) -> io_task<void> {
      auto answer = co_await ask(std::move(to), std::move(what), 1h);
      if (!answer)
        throw std::runtime_error(text_of(answer.error()));
    };
    boost::asio::co_spawn(threads.context(0), question(std::move(actor), std::move(message)),
                          boost::asio::use_future)
        .get();
  }
  coro::pool threads;
  configuration config;
  caf::actor_system system;
};

constexpr std::uint32_t rounds = 10'000;

template <class Spawn>
void round_trips(benchmark::State& state, Spawn spawn_driver) {
  running server;
  auto driver = spawn_driver(server.system);
  for (auto _ : state)
    server.ask_from_edge(driver, get_timeseries{rounds});
  state.SetItemsProcessed(state.iterations() * rounds);
  coro::end(driver);
}

auto plain(caf::duration timeout) {
  return [timeout](caf::actor_system& system) -> driver_actor {
    return system.spawn<plain_driver>(system.spawn(plain_echo), timeout);
  };
}

template <bool CoroutineEcho = false>
auto coroutine(coro::duration timeout) {
  return [timeout](caf::actor_system& system) -> driver_actor {
    echo_actor echo;
    if constexpr (CoroutineEcho)
      echo = system.spawn<coro::actor<coro_echo_state, echo_actor>>();
    else
      echo = system.spawn(plain_echo);
    return system.spawn<coro::actor<coro_driver_state, driver_actor>>(echo, timeout);
  };
}

BENCHMARK_CAPTURE(round_trips, caf_then_no_timeout, plain(caf::infinite))->UseRealTime();
BENCHMARK_CAPTURE(round_trips, coroutine_no_timeout, coroutine(coro::infinite))->UseRealTime();
BENCHMARK_CAPTURE(round_trips, coroutine_both_sides, coroutine<true>(coro::infinite))->UseRealTime();
BENCHMARK_CAPTURE(round_trips, caf_then_10s_timeout, plain(caf::duration{10s}))
    ->UseRealTime()
    ->Iterations(50);
BENCHMARK_CAPTURE(round_trips, coroutine_10s_timeout, coroutine(10s))->UseRealTime()->Iterations(50);

void edge_question(benchmark::State& state) {
  running server;
  echo_actor echo = server.system.spawn(plain_echo);
  auto many = [](echo_actor to) -> io_task<void> {
    for (std::uint32_t i = 0; i < rounds; ++i) {
      auto answer = co_await ask(to, sweep{}, 10s);
      if (!answer)
        throw std::runtime_error(text_of(answer.error()));
    }
  };
  for (auto _ : state)
    boost::asio::co_spawn(server.threads.context(0), many(echo), boost::asio::use_future).get();
  state.SetItemsProcessed(state.iterations() * rounds);
  coro::end(echo);
}
BENCHMARK(edge_question)->UseRealTime();

void spawn_and_end(benchmark::State& state) {
  running server;
  for (auto _ : state) {
    auto echo = server.system.spawn<coro::actor<coro_echo_state, echo_actor>>();
    coro::end(echo);
  }
}
BENCHMARK(spawn_and_end)->UseRealTime();

} // namespace

BENCHMARK_MAIN();
