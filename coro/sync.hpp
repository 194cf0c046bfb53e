#pragma once

#include "coro/scope.hpp"
#include "coro/task.hpp"

#include <caf/unit.hpp>

#include <cstddef>
#include <deque>
#include <utility>
#include <vector>

namespace sandy::coro {

namespace detail {

/// Suspends a coroutine in a queue of waiters; gone from it when its frame goes.
struct waiter : ready_hook {
  void wait(std::coroutine_handle<> frame, list_hook& queue) noexcept {
    handle = frame;
    insert_before(queue);
  }
};

/// Moves the first waiter to the actor's run queue; never resumes it inline.
inline bool wake_one(list_hook& queue) {
  if (!queue.linked())
    return false;
  scope::current().post(*static_cast<waiter*>(queue.next()));
  return true;
}

} // namespace detail

/// Counts permits; used as a mutex (one permit) where re-entrance between two awaits would be wrong, and to
/// bound work. First come, first served. A permit returns by itself when its owner is destroyed.
class semaphore {
public:
  explicit semaphore(std::size_t permits)
      : free_(permits) {}
  semaphore(const semaphore&) = delete;
  semaphore& operator=(const semaphore&) = delete;

  class permit {
  public:
    permit() = default;
    explicit permit(semaphore* from) noexcept
        : from_(from) {}
    permit(permit&& other) noexcept
        : from_(std::exchange(other.from_, nullptr)) {}
    permit& operator=(permit&& other) noexcept {
      std::swap(from_, other.from_);
      return *this;
    }
    ~permit() {
      if (from_ != nullptr)
        from_->release();
    }

  private:
    semaphore* from_ = nullptr;
  };

  class [[nodiscard]] acquire_awaiter : detail::waiter {
  public:
    explicit acquire_awaiter(semaphore& from)
        : from_(from) {}
    ~acquire_awaiter() {
      if (granted_)
        from_.release(); // granted, but the frame went before it ran
    }
    bool await_ready() noexcept {
      if (from_.free_ == 0)
        return false;
      --from_.free_;
      return granted_ = true;
    }
    void await_suspend(std::coroutine_handle<> frame) noexcept { wait(frame, from_.queue_); }
    permit await_resume() noexcept {
      granted_ = false;
      return permit{&from_};
    }

  private:
    friend class semaphore;
    semaphore& from_;
    bool granted_ = false;
  };
  /// `auto permit = co_await sem.acquire();`
  acquire_awaiter acquire() { return acquire_awaiter{*this}; }
  std::size_t available() const noexcept { return free_; }

private:
  void release() {
    if (!queue_.linked()) {
      ++free_;
      return;
    }
    auto* next = static_cast<acquire_awaiter*>(static_cast<detail::waiter*>(queue_.next()));
    next->granted_ = true;
    detail::wake_one(queue_);
  }

  std::size_t free_;
  list_hook queue_;
};

/// Something that happens once. Waiting after it happened does not wait.
class event {
public:
  event() = default;
  event(const event&) = delete;
  event& operator=(const event&) = delete;

  void set() {
    set_ = true;
    while (detail::wake_one(queue_)) {
    }
  }
  bool is_set() const noexcept { return set_; }

  class [[nodiscard]] wait_awaiter : detail::waiter {
  public:
    explicit wait_awaiter(event& on)
        : on_(on) {}
    bool await_ready() const noexcept { return on_.set_; }
    void await_suspend(std::coroutine_handle<> frame) noexcept { this->wait(frame, on_.queue_); }
    void await_resume() const noexcept {}

  private:
    event& on_;
  };
  wait_awaiter wait() { return wait_awaiter{*this}; }

private:
  bool set_ = false;
  list_hook queue_;
};

/// A queue between coroutines of one actor that holds at most `capacity` items: pushing waits for room,
/// taking waits for items.
template <class T>
class channel {
public:
  explicit channel(std::size_t capacity)
      : capacity_(capacity) {}
  channel(const channel&) = delete;
  channel& operator=(const channel&) = delete;

  /// False when full or closed.
  bool try_push(T& item) {
    if (closed_ || items_.size() >= capacity_)
      return false;
    items_.push_back(std::move(item));
    detail::wake_one(takers_);
    return true;
  }

  /// Waits for room. Fails with cancelled when the channel is closed.
  task<void> push(T item) {
    while (!try_push(item)) {
      if (closed_)
        co_return fail(errc::cancelled, "The channel is closed");
      co_await parked{*this, pushers_, [](channel& c) { return c.closed_ || c.items_.size() < c.capacity_; }};
    }
    co_return caf::unit;
  }

  /// Waits for at least one item; takes at most `max`. Empty: closed, and nothing left.
  task<std::vector<T>> take(std::size_t max) {
    while (items_.empty() && !closed_)
      co_await parked{*this, takers_, [](channel& c) { return c.closed_ || !c.items_.empty(); }};
    std::vector<T> batch;
    while (!items_.empty() && batch.size() < max) {
      batch.push_back(std::move(items_.front()));
      items_.pop_front();
      detail::wake_one(pushers_);
    }
    co_return std::move(batch);
  }

  /// No more pushes; takers get what is left, then nothing.
  void close() {
    closed_ = true;
    while (detail::wake_one(takers_)) {
    }
    while (detail::wake_one(pushers_)) {
    }
  }
  std::size_t size() const noexcept { return items_.size(); }

private:
  struct parked : detail::waiter {
    using ready_fn = bool (*)(channel&);
    parked(channel& on, list_hook& queue, ready_fn ready)
        : on_(on)
        , queue_(queue)
        , ready_(ready) {}
    bool await_ready() { return ready_(on_); }
    void await_suspend(std::coroutine_handle<> frame) noexcept { this->wait(frame, queue_); }
    void await_resume() const noexcept {}
    channel& on_;
    list_hook& queue_;
    ready_fn ready_;
  };

  std::deque<T> items_;
  std::size_t capacity_;
  bool closed_ = false;
  list_hook pushers_;
  list_hook takers_;
};

} // namespace sandy::coro
