#pragma once

#include "coro/request.hpp"
#include "coro/sync.hpp"
#include "coro/task.hpp"

#include <utility>
#include <vector>

namespace sandy::coro {

/// A stream of items from one actor to another, also across nodes. The consumer asks for at most `credit`
/// items at a time (a message whose answer is a vector) and asks again when it has used them; the producer
/// keeps them in a `channel` of bounded capacity and waits when that is full. So a slow consumer slows its
/// own producer and nobody else, nothing is buffered without a bound, and a batch costs two messages however
/// many items it has.
///
/// The producing side is `channel<T>::take` as the handler of Pull. This is the consuming side.
///
/// @tparam Pull the message that asks for items; has a member `credit`.
template <class T, class Handle, class Pull>
class source {
public:
  /// @param timeout for each batch; `infinite` where the producer may be silent for long and is monitored.
  source(Handle producer, Pull pull, duration timeout)
      : producer_(std::move(producer))
      , pull_(pull)
      , timeout_(timeout) {}

  /// The next item; std::nullopt at the end. Fails when the producer is gone.
  task<std::optional<T>> next() {
    if (used_ == batch_.size()) {
      if (ended_)
        co_return std::optional<T>{};
      auto batch = co_await request(producer_, timeout_, pull_);
      if (!batch)
        co_return std::move(batch.error());
      batch_ = std::move(*batch);
      used_ = 0;
      ended_ = batch_.empty();
      if (ended_)
        co_return std::optional<T>{};
    }
    co_return std::optional<T>{std::move(batch_[used_++])};
  }

private:
  Handle producer_;
  Pull pull_;
  duration timeout_;
  std::vector<T> batch_;
  std::size_t used_ = 0;
  bool ended_ = false;
};

} // namespace sandy::coro
