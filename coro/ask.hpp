#pragma once

#include "coro/bridge.hpp"
#include "coro/request.hpp"
#include "messages/sandbox_io.hpp"

#include <caf/actor_cast.hpp>
#include <caf/mailbox_element.hpp>
#include <caf/send.hpp>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <memory>
#include <utility>

namespace sandy {

namespace coro::detail {

template <class T, class Handler>
class question_of final : public question {
public:
  explicit question_of(Handler handler)
      : handler_(std::move(handler)) {}

  void complete(caf::mailbox_element* answer) override {
    if (answer == nullptr)
      finish(fail(errc::deadline_exceeded, "The server did not answer in time"));
    else
      finish(take_response<T>(*answer));
  }
  void abandon() override { finish(fail(errc::cancelled, "The request was cancelled")); }
  auto slot() { return boost::asio::get_associated_cancellation_slot(handler_); }

private:
  // The coroutine may ask again from inside the handler: our memory goes first.
  void finish(result<T> outcome) {
    slot().clear();
    auto handler = std::move(handler_);
    delete this;
    std::move(handler)(std::move(outcome));
  }
  Handler handler_;
};

} // namespace coro::detail

/// Asks an actor from an Asio coroutine of the pool, without blocking a thread. T follows from the actor's
/// interface. Fails with what the actor answered, with deadline_exceeded after `timeout`, or with cancelled
/// when the coroutine is cancelled (the actor may do the work all the same: ask a request actor where that
/// matters).
template <class Handle, class Message>
io_task<result<coro::detail::response_of<Handle, Message>>> ask(Handle actor, Message message,
                                                                std::chrono::milliseconds timeout) {
  using value = coro::detail::response_of<Handle, Message>;
  auto initiation = [&]<class Handler>(Handler handler) {
    auto* asked = new coro::detail::question_of<value, Handler>(std::move(handler));
    auto& here = coro::bridge::current();
    auto mid = here.add(asked, timeout);
    if (auto slot = asked->slot(); slot.is_connected())
      slot.assign([&here, id = mid.request_id().integer_value()](boost::asio::cancellation_type type) {
        if (type != boost::asio::cancellation_type::none)
          boost::asio::post(here.context(), [&here, id] { here.cancel(id); });
      });
    auto* target = caf::actor_cast<caf::abstract_actor*>(actor);
    target->enqueue(
        caf::make_mailbox_element(caf::strong_actor_ptr{here.ctrl()}, mid, {}, std::move(message)), nullptr);
  };
  auto token = boost::asio::use_awaitable_t<io_executor>{};
  auto outcome =
      co_await boost::asio::async_initiate<boost::asio::use_awaitable_t<io_executor>, void(result<value>)>(
          initiation, token);
  co_return outcome;
}

namespace coro {

/// Ends a request actor whose client is gone; what it was waiting for ends with it.
template <class Handle>
void end(const Handle& actor) {
  caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
}

} // namespace coro
} // namespace sandy
