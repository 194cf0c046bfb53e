#pragma once

#include "coro/scope.hpp"
#include "coro/task.hpp"
#include "messages/error.hpp"
#include "messages/sandbox_io.hpp"

#include <caf/actor_control_block.hpp>
#include <caf/mailbox_element.hpp>
#include <caf/scheduled_actor.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

// The bridge from actors to Asio: an actor's coroutine awaits an operation that runs elsewhere.

namespace sandy::coro {

namespace detail {

/// Where an operation that runs elsewhere leaves its outcome. Shared, because the actor may end first: then
/// the outcome dies with the operation, and what it owns is released.
template <class T>
struct mailbox_slot {
  caf::strong_actor_ptr receiver;
  caf::message_id mid;
  std::optional<result<T>> outcome;

  /// Stores the outcome, then wakes the actor: its mailbox orders the two.
  void finish(result<T> value) {
    outcome.emplace(std::move(value));
    auto to = std::exchange(receiver, nullptr);
    to->enqueue(caf::make_mailbox_element(nullptr, mid.response_id(), {}, caf::message{}), nullptr);
  }
};

template <class T>
class external_operation : public operation {
public:
  bool await_ready() const noexcept { return done_; }
  void await_suspend(std::coroutine_handle<> frame) noexcept { waiter_ = frame; }
  result<T> await_resume() { return std::move(*slot_->outcome); }

protected:
  external_operation()
      : slot_(std::make_shared<mailbox_slot<T>>()) {
    auto& here = scope::current();
    slot_->mid = caf::message_id{here.add(this)}.with_normal_priority();
    slot_->receiver = caf::strong_actor_ptr{here.self()->ctrl()};
  }
  std::shared_ptr<mailbox_slot<T>> slot_;
  bool done_ = false;

private:
  void complete(caf::mailbox_element*) override { done_ = true; }
};

} // namespace detail

/// Awaits an Asio coroutine: a pidfd, a socket, a pipe. It runs on `context`; when the actor's frame goes
/// first it is cancelled (terminal). Exceptions become `internal`.
template <class T>
class [[nodiscard]] io final : public detail::external_operation<T> {
public:
  io(boost::asio::io_context& context, io_task<result<T>> work)
      : context_(context)
      , cancel_(std::make_shared<boost::asio::cancellation_signal>()) {
    auto finish = [slot = this->slot_, cancel = cancel_](std::exception_ptr what) {
      if (what)
        slot->finish(to_error(what));
    };
    boost::asio::co_spawn(context, run(std::move(work), this->slot_),
                          boost::asio::bind_cancellation_slot(cancel_->slot(), std::move(finish)));
  }
  ~io() {
    if (!this->done_)
      boost::asio::post(context_,
                        [cancel = cancel_] { cancel->emit(boost::asio::cancellation_type::terminal); });
  }

private:
  // Asio wants default constructible results, and a result<T> is not: the slot takes it.
  static io_task<void> run(io_task<result<T>> work, std::shared_ptr<detail::mailbox_slot<T>> slot) {
    auto outcome = co_await std::move(work);
    slot->finish(std::move(outcome));
  }

  boost::asio::io_context& context_;
  std::shared_ptr<boost::asio::cancellation_signal> cancel_;
};

/// Where calls that block are made: gets a function to run on some other thread (in tests: at once).
using offload = std::function<void(std::function<void()>)>;

/// Awaits a call that blocks (fork, mount, SQLite). It cannot be cancelled: when the actor goes first its
/// outcome is dropped, so whoever supervises the actor must undo what the call made.
/// @param call returns result<T>; copyable.
template <class T>
class [[nodiscard]] blocking final : public detail::external_operation<T> {
public:
  template <class F>
  blocking(const offload& threads, F call) {
    threads([slot = this->slot_, call = std::move(call)]() mutable {
      try {
        slot->finish(call());
      } catch (...) {
        slot->finish(to_error(std::current_exception()));
      }
    });
  }
};

/// Makes calls on a pool of threads.
inline offload on_pool(boost::asio::thread_pool& threads) {
  return [&threads](std::function<void()> call) { boost::asio::post(threads, std::move(call)); };
}

} // namespace sandy::coro
