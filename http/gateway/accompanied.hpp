#pragma once

#include "messages/sandbox_io.hpp"

#include <boost/asio/this_coro.hpp>

#include <utility>

// For whoever writes to a client while something else is waited for: the two race, and the loser is
// cancelled.

namespace sandy::http::gateway {

/// Awaits `work`, and notes that it is over.
template <class T>
io_task<T> noting(io_task<T> work, bool& over) {
  auto outcome = co_await std::move(work);
  over = true;
  co_return outcome;
}

/// Awaits a write that must not end in its middle, because another follows. A cancellation that comes
/// meanwhile is lost: look at what `noting` noted then.
template <class T>
io_task<T> whole(io_task<T> write) {
  co_await boost::asio::this_coro::reset_cancellation_state(boost::asio::disable_cancellation());
  auto outcome = co_await std::move(write);
  co_await boost::asio::this_coro::reset_cancellation_state(boost::asio::enable_total_cancellation());
  co_return outcome;
}

} // namespace sandy::http::gateway
