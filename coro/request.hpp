#pragma once

#include "coro/scope.hpp"
#include "messages/error.hpp"

#include <caf/actor_cast.hpp>
#include <caf/mailbox_element.hpp>
#include <caf/scheduled_actor.hpp>
#include <caf/sec.hpp>
#include <caf/typed_actor.hpp>

#include <optional>
#include <type_traits>
#include <utility>

namespace sandy::coro {

namespace detail {

template <class List>
struct single_result;
template <>
struct single_result<caf::detail::type_list<void>> {
  using type = void;
};
template <>
struct single_result<caf::detail::type_list<>> {
  using type = void;
};
template <>
struct single_result<caf::detail::type_list<caf::unit_t>> {
  using type = void;
};
template <class T>
struct single_result<caf::detail::type_list<T>> {
  using type = T;
};

/// What `Handle` answers to `Message`, from its typed interface.
template <class Handle, class Message>
using response_of = typename single_result<
    caf::response_type_t<typename Handle::signatures,
                         typename caf::detail::implicit_conversions<std::decay_t<Message>>::type>>::type;

/// The content of a response, or its error.
template <class T>
result<T> take_response(caf::mailbox_element& element) {
  auto& content = element.content();
  if (content.match_elements<caf::error>())
    return content.get_as<caf::error>(0);
  if constexpr (std::is_void_v<T>) {
    if (content.empty() || content.match_elements<caf::unit_t>())
      return caf::unit;
  } else if (content.match_elements<T>()) {
    if (content.shared())
      return content.template get_as<T>(0);
    return std::move(content.template get_mutable_as<T>(0));
  }
  return fail(errc::internal, "An actor answered with something else");
}

} // namespace detail

/// A request on its way; awaiting it yields `result<T>`. It was sent when it was made.
template <class T>
class [[nodiscard]] pending_request final : operation {
public:
  template <class Handle, class Message>
  pending_request(const Handle& receiver, duration timeout, Message&& message) {
    auto* target = caf::actor_cast<caf::abstract_actor*>(receiver);
    if (target == nullptr) {
      response_.emplace(caf::make_error(caf::sec::request_receiver_down));
      return;
    }
    auto& here = scope::current();
    auto mid = caf::message_id{here.add(this)}.with_normal_priority();
    target->enqueue(caf::make_mailbox_element(caf::strong_actor_ptr{here.self()->ctrl()}, mid, {},
                                              std::forward<Message>(message)),
                    here.self()->context());
    if (timeout != infinite)
      here.arm(this, here.self()->clock().now() + timeout);
  }

  bool await_ready() const noexcept { return response_.has_value(); }
  void await_suspend(std::coroutine_handle<> frame) noexcept { waiter_ = frame; }
  result<T> await_resume() { return std::move(*response_); }

private:
  void complete(caf::mailbox_element* element) override {
    if (element == nullptr)
      response_.emplace(caf::make_error(caf::sec::request_timeout));
    else
      response_.emplace(detail::take_response<T>(*element));
  }

  std::optional<result<T>> response_;
};

/// Asks another actor. Fails with deadline_exceeded after `timeout`, with sandbox_ended's CAF twin (receiver
/// down) when the receiver is or goes down.
template <class Handle, class Message>
pending_request<detail::response_of<Handle, Message>> request(const Handle& receiver, duration timeout,
                                                              Message&& message) {
  return {receiver, timeout, std::forward<Message>(message)};
}

} // namespace sandy::coro
