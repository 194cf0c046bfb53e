#pragma once

#include "coro/scope.hpp"
#include "coro/task.hpp"

#include <caf/mailbox_element.hpp>
#include <caf/response_promise.hpp>
#include <caf/result.hpp>
#include <caf/scheduled_actor.hpp>
#include <caf/sec.hpp>

#include <coroutine>
#include <type_traits>
#include <utility>

// Makes every message handler that returns caf::result<T> a coroutine if it says co_await or co_return. CAF's
// static check of typed interfaces stays as it is.

namespace sandy::coro::detail {

/// Who waits for a handler's answer. Like caf::response_promise, but without a strong reference to our own
/// actor: kept in a frame, that would be a cycle, and the actor would never die.
class reply_address {
public:
  explicit reply_address(scope& owner)
      : owner_(owner) {
    auto* element = owner.self()->current_mailbox_element();
    if (element != nullptr && !element->mid.is_answered() && !element->mid.is_response()) {
      source_ = element->sender; // a copy: the handler may ask for current_sender()
      stages_ = std::move(element->stages);
      mid_ = element->mid;
    }
  }

  template <class... Ts>
  void deliver(Ts&&... values) {
    send(caf::make_message(std::forward<Ts>(values)...));
  }
  void deliver(caf::unit_t) { send(caf::message{}); }

private:
  void send(caf::message content) {
    if (!stages_.empty()) {
      auto next = std::move(stages_.back());
      stages_.pop_back();
      next->enqueue(
          caf::make_mailbox_element(std::move(source_), mid_, std::move(stages_), std::move(content)),
          owner_.self()->context());
    } else if (source_ && mid_.is_request()) {
      auto receiver = std::exchange(source_, nullptr);
      receiver->enqueue(
          caf::make_mailbox_element(owner_.sender(), mid_.response_id(), {}, std::move(content)),
          owner_.self()->context());
    }
  }

  scope& owner_;
  caf::strong_actor_ptr source_;
  caf::mailbox_element::forwarding_stack stages_;
  caf::message_id mid_;
};

template <class T>
class reply_promise_base : public scope::root {
public:
  reply_promise_base()
      : address_(owner()) {}
  ~reply_promise_base() {
    if (!answered_) // the actor ended while this handler was suspended
      address_.deliver(caf::make_error(caf::sec::request_receiver_down));
  }
  std::suspend_never initial_suspend() noexcept { return {}; }
  std::suspend_never final_suspend() noexcept { return {}; }
  void unhandled_exception() {
    auto what = std::current_exception();
    refuse(to_error(what));
    owner().crashed(std::move(what));
  }

protected:
  template <class U>
  void answer(U&& value) {
    if (!std::exchange(answered_, true))
      address_.deliver(std::forward<U>(value));
  }
  void refuse(caf::error err) { answer(std::move(err)); }

private:
  reply_address address_;
  bool answered_ = false;
};

template <class T>
class reply_promise : public reply_promise_base<T> {
public:
  caf::result<T> get_return_object() {
    this->frame_ = std::coroutine_handle<reply_promise>::from_promise(*this);
    return caf::response_promise{}; // "answered later"
  }
  void return_value(T value) { this->answer(std::move(value)); }
  void return_value(caf::error err) { this->refuse(std::move(err)); }
  void return_value(result<T> value) {
    if (value)
      this->answer(std::move(*value));
    else
      this->refuse(std::move(value.error()));
  }
};

template <>
class reply_promise<void> : public reply_promise_base<void> {
public:
  caf::result<void> get_return_object() {
    frame_ = std::coroutine_handle<reply_promise>::from_promise(*this);
    return caf::response_promise{};
  }
  void return_value(caf::unit_t) { answer(caf::unit); }
  void return_value(caf::error err) { refuse(std::move(err)); }
};

// The first parameter may be the object (a lambda or the state); message parameters must be values, because
// the message is gone after the first suspension.
template <class... Args>
struct values_only : std::true_type {};
template <class Object, class... Args>
struct values_only<Object, Args...> : std::bool_constant<(!std::is_reference_v<Args> && ...)> {};

} // namespace sandy::coro::detail

template <class T, class... Args>
struct std::coroutine_traits<caf::result<T>, Args...> {
  static_assert(sandy::coro::detail::values_only<Args...>::value,
                "a coroutine handler must take its message parameters by value");
  using promise_type = sandy::coro::detail::reply_promise<T>;
};
