#pragma once

#include "coro/intrusive_list.hpp"

#include <caf/mailbox_element.hpp>
#include <caf/monitorable_actor.hpp>

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <cstdint>
#include <vector>

namespace sandy::coro {

/// A question of an Asio coroutine to an actor, waiting for its answer. See coro/ask.hpp.
class question {
public:
  virtual ~question() = default;
  /// The answer; nullptr: time is up. Called once, on the asking thread; destroys the question.
  virtual void complete(caf::mailbox_element* answer) = 0;
  /// The asking coroutine was cancelled, or the server stops.
  virtual void abandon() = 0;

private:
  friend class bridge;
  struct timer_hook : list_hook {
    question* owner = nullptr;
  };
  timer_hook timer_;
  std::chrono::steady_clock::time_point deadline_{};
  std::uint64_t id_ = 0;
};

/// What actors see of one pool thread's Asio coroutines: a receiver of responses. Never blocks a thread, has
/// no mailbox.
class bridge final : public caf::monitorable_actor {
public:
  bridge(caf::actor_config& config, boost::asio::io_context& context);
  ~bridge() override;

  static caf::strong_actor_ptr make(caf::actor_system& system, boost::asio::io_context& context);
  /// The bridge behind a pointer that `make` returned.
  static bridge& of(const caf::strong_actor_ptr& pointer);
  /// The calling pool thread's bridge. Throws std::logic_error on other threads: asking there is a bug.
  static bridge& current();
  static void set_current(bridge* b) noexcept;

  const char* name() const override { return "bridge"; }
  using caf::abstract_actor::enqueue;
  void enqueue(caf::mailbox_element_ptr element, caf::execution_unit* unit) override;

  /// Takes ownership of `q` and gives it an id. @returns the id for the request message.
  caf::message_id add(question* q, std::chrono::milliseconds timeout);
  /// Completes `q` by its `abandon`, unless it is completed already.
  void cancel(std::uint64_t id);
  void fail_all();
  boost::asio::io_context& context() noexcept { return context_; }

private:
  struct slot {
    std::uint64_t generation = 0;
    question* waiting = nullptr;
  };
  void deliver(caf::mailbox_element_ptr element);
  question* take(std::uint64_t id);
  void arm();
  void fire();

  using timer_type = boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                                       boost::asio::wait_traits<std::chrono::steady_clock>,
                                                       boost::asio::io_context::executor_type>;
  boost::asio::io_context& context_;
  timer_type timer_;
  std::chrono::steady_clock::time_point armed_ = std::chrono::steady_clock::time_point::max();
  std::vector<slot> slots_;
  std::vector<std::uint32_t> free_;
  list_hook timers_; // sorted by deadline
};

} // namespace sandy::coro
