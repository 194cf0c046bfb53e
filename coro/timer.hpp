#pragma once

#include "coro/scope.hpp"
#include "coro/task.hpp"

#include <caf/scheduled_actor.hpp>
#include <caf/sec.hpp>

namespace sandy::coro {

/// Suspends for a time of the actor clock (virtual in tests).
class [[nodiscard]] sleep_for final : operation {
public:
  explicit sleep_for(duration time) {
    auto& here = scope::current();
    here.add(this);
    here.arm(this, here.self()->clock().now() + time);
  }
  bool await_ready() const noexcept { return done_; }
  void await_suspend(std::coroutine_handle<> frame) noexcept { waiter_ = frame; }
  void await_resume() const noexcept {}

private:
  void complete(caf::mailbox_element*) override { done_ = true; }
  bool done_ = false;
};

/// A task with a deadline. When time runs out its frame is destroyed, with all that it waits for, and the
/// result is deadline_exceeded.
template <class T>
class [[nodiscard]] with_timeout final : operation {
public:
  with_timeout(duration time, task<T> work)
      : work_(std::move(work)) {
    auto& here = scope::current();
    here.add(this);
    here.arm(this, here.self()->clock().now() + time);
  }
  bool await_ready() { return work_.await_ready(); }
  void await_suspend(std::coroutine_handle<> frame) noexcept {
    waiter_ = frame;
    work_.await_suspend(frame);
  }
  result<T> await_resume() {
    if (expired_) {
      work_.reset();
      return caf::make_error(caf::sec::request_timeout);
    }
    return work_.await_resume();
  }

private:
  void complete(caf::mailbox_element*) override { expired_ = true; }
  task<T> work_;
  bool expired_ = false;
};

} // namespace sandy::coro
