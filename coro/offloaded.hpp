#pragma once

#include "coro/io.hpp"
#include "coro/task.hpp"

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <functional>
#include <memory>

namespace sandy::coro {

/// Makes a call that blocks from an Asio coroutine, which goes on, on its own thread, when the call returned.
/// It cannot be cancelled. Exceptions become `internal`.
template <class T>
io_task<result<T>> offloaded(offload threads, std::function<result<T>()> call) {
  auto initiation = [&]<class Handler>(Handler handler) {
    auto waiter = std::make_shared<Handler>(std::move(handler));
    threads([waiter, call] {
      auto outcome = std::make_shared<result<T>>(fail(errc::internal, "The call was not made"));
      try {
        *outcome = call();
      } catch (...) {
        *outcome = to_error(std::current_exception());
      }
      boost::asio::post(boost::asio::get_associated_executor(*waiter),
                        [waiter, outcome] { std::move (*waiter)(std::move(*outcome)); });
    });
  };
  auto token = boost::asio::use_awaitable_t<io_executor>{};
  auto outcome =
      co_await boost::asio::async_initiate<boost::asio::use_awaitable_t<io_executor>, void(result<T>)>(
          initiation, token);
  co_return outcome;
}

} // namespace sandy::coro
