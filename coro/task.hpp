#pragma once

#include "coro/scope.hpp"
#include "messages/error.hpp"

#include <caf/unit.hpp>

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>
#include <vector>

namespace sandy::coro {

/// What an exception that left a coroutine becomes for whoever waits: `internal` with the exception's words.
caf::error to_error(const std::exception_ptr& what);

template <class T = void>
class task;

namespace detail {

template <class T>
class task_promise_base {
public:
  std::suspend_always initial_suspend() noexcept { return {}; }

  struct final_awaiter {
    bool await_ready() noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> frame) noexcept {
      auto next = frame.promise().continuation;
      return next ? next : std::noop_coroutine();
    }
    void await_resume() noexcept {}
  };
  final_awaiter final_suspend() noexcept { return {}; }

  void unhandled_exception() {
    auto what = std::current_exception();
    outcome.emplace(to_error(what));
    scope::current().crashed(std::move(what)); // the actor ends after this step
  }

  std::coroutine_handle<> continuation{};
  std::optional<result<T>> outcome;
};

template <class T>
class task_promise : public task_promise_base<T> {
public:
  task<T> get_return_object();
  void return_value(T value) { this->outcome.emplace(std::move(value)); }
  void return_value(caf::error err) { this->outcome.emplace(std::move(err)); }
  void return_value(result<T> value) { this->outcome.emplace(std::move(value)); }
};

template <>
class task_promise<void> : public task_promise_base<void> {
public:
  task<void> get_return_object();
  void return_value(caf::unit_t) { outcome.emplace(caf::unit); }
  void return_value(caf::error err) { outcome.emplace(std::move(err)); }
  void return_value(result<void> value) { outcome.emplace(std::move(value)); }
};

} // namespace detail

/// A coroutine of an actor that yields `result<T>` to the one coroutine that awaits it. Starts when first
/// awaited (or by `start`); destroying it destroys its frame and cancels what it waits for. A `task<void>`
/// ends with `co_return caf::unit` or with an error.
template <class T>
class [[nodiscard]] task {
public:
  using promise_type = detail::task_promise<T>;
  using value_type = T;

  task() = default;
  explicit task(std::coroutine_handle<promise_type> frame) noexcept
      : frame_(frame) {}
  task(task&& other) noexcept
      : frame_(std::exchange(other.frame_, {}))
      , started_(other.started_) {}
  task& operator=(task&& other) noexcept {
    if (this != &other) {
      reset();
      frame_ = std::exchange(other.frame_, {});
      started_ = other.started_;
    }
    return *this;
  }
  ~task() { reset(); }

  /// Runs it up to its first suspension. Does nothing when it was started before.
  void start() {
    if (!std::exchange(started_, true))
      frame_.resume();
  }
  /// Destroys the frame.
  void reset() noexcept {
    if (auto frame = std::exchange(frame_, {}))
      frame.destroy();
  }

  // Started here and not in await_suspend: a child that finishes at once needs no symmetric transfer, so
  // loops over such children do not grow the stack at -O0.
  bool await_ready() {
    start();
    return frame_.done();
  }
  void await_suspend(std::coroutine_handle<> waiter) noexcept { frame_.promise().continuation = waiter; }
  result<T> await_resume() { return std::move(*frame_.promise().outcome); }

private:
  std::coroutine_handle<promise_type> frame_{};
  bool started_ = false;
};

namespace detail {

template <class T>
task<T> task_promise<T>::get_return_object() {
  return task<T>{std::coroutine_handle<task_promise>::from_promise(*this)};
}
inline task<void> task_promise<void>::get_return_object() {
  return task<void>{std::coroutine_handle<task_promise>::from_promise(*this)};
}

struct background {
  struct promise_type : scope::root {
    background get_return_object() {
      frame_ = std::coroutine_handle<promise_type>::from_promise(*this);
      return {};
    }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void unhandled_exception() { owner().crashed(std::current_exception()); }
    void return_void() {}
  };
};

template <class T>
background run_in_background(task<T> work) {
  co_await work;
}

} // namespace detail

/// Runs a task that nobody waits for. It belongs to the current actor and is destroyed with it; its error is
/// dropped, so it must handle its own.
template <class T>
void spawn(task<T> work) {
  detail::run_in_background(std::move(work));
}

/// Runs tasks side by side; yields all outcomes in their order.
template <class T>
task<std::vector<result<T>>> when_all(std::vector<task<T>> tasks) {
  for (auto& each : tasks)
    each.start();
  std::vector<result<T>> outcomes;
  outcomes.reserve(tasks.size());
  for (auto& each : tasks) {
    auto outcome = co_await each;
    outcomes.push_back(std::move(outcome));
  }
  co_return std::move(outcomes);
}

/// Runs two tasks side by side; yields both outcomes.
template <class A, class B>
task<std::pair<result<A>, result<B>>> when_both(task<A> first, task<B> second) {
  first.start();
  second.start();
  auto a = co_await first;
  auto b = co_await second;
  co_return std::pair<result<A>, result<B>>{std::move(a), std::move(b)};
}

} // namespace sandy::coro
