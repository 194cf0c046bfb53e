#pragma once

#include "messages/sandbox_io.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <optional>
#include <utility>

namespace sandy::http {

/// Makes an operation's outcome a tuple that begins with its error code.
inline constexpr auto as_values = boost::asio::as_tuple(boost::asio::use_awaitable_t<io_executor>{});

using io_timer =
    boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                      boost::asio::wait_traits<std::chrono::steady_clock>, io_executor>;

/// Does `work` until the timer, which outlives the call, expires: none then. What was read or written by an
/// operation that ended in the same moment is lost: whoever goes on reading afterwards must only wait here.
template <class Outcome>
io_task<std::optional<Outcome>> within(io_timer& timer, io_task<Outcome> work) {
  using boost::asio::experimental::awaitable_operators::operator||;
  auto first = co_await (std::move(work) || timer.async_wait(as_values));
  if (first.index() == 1)
    co_return std::nullopt;
  co_return std::move(std::get<0>(first));
}

} // namespace sandy::http
