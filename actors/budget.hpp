#pragma once

#include "messages/error.hpp"
#include "messages/limiter.hpp"

#include <chrono>
#include <cstdint>

namespace sandy {

/// A bucket that `count` tokens flow into per `period`, and that holds `size`. Kept as one point in time,
/// when it will be full again (the generic cell rate algorithm of ITU-T I.371): nothing has to tick, and
/// nothing is rounded away.
class token_bucket {
public:
  using time_point = std::chrono::steady_clock::time_point;
  using duration = std::chrono::nanoseconds;

  /// @param count 0: unlimited.
  token_bucket(std::uint64_t count, duration period, std::uint64_t size);

  bool unlimited() const noexcept { return size_ == 0; }
  bool full(time_point now) const noexcept { return full_at_ <= now; }
  std::uint64_t size() const noexcept { return size_; }
  std::uint64_t remaining(time_point now) const noexcept;
  /// Zero: there are so many. Never zero for more than it holds.
  duration until_next(time_point now, std::uint64_t count = 1) const noexcept;
  duration until_full(time_point now) const noexcept;
  /// Takes tokens that are there.
  void take(time_point now, std::uint64_t count = 1) noexcept;
  /// Takes the place of `old`: what was taken from that one is missing in this one, as far as this one goes.
  void replace(const token_bucket& old, time_point now) noexcept;

private:
  duration step_{}; ///< in which one token flows
  std::uint64_t size_ = 0;
  time_point full_at_{};
};

/// What one tenant has left. A value: no clock of its own, no thread.
class budget {
public:
  using time_point = token_bucket::time_point;

  explicit budget(const tenant_limits& limits);

  /// Takes what a request costs, or says why not. A refused creation or stream was still a request; nothing
  /// else is taken. A stream that was not refused holds its place until `stream_ended`.
  /// @param count of creations, all or none.
  admission admit(request_cost cost, time_point now, std::uint32_t count = 1);
  void stream_ended() noexcept { --streams_; }
  void change(const tenant_limits& limits, time_point now);
  /// Nothing is in use: a new budget would be the same.
  bool idle(time_point now) const noexcept;

private:
  token_bucket requests_;
  token_bucket minute_; ///< creations
  token_bucket hour_;   ///< creations
  std::uint64_t max_streams_;
  std::uint64_t streams_ = 0;
};

/// Whether a tenant may have one more sandbox. Fails with rate_limited.
/// @param sandboxes, memory_bytes what it has: their number, and the sum of their memory limits.
/// @param wanted_memory_bytes the memory limit of the new one.
result<void> within_budget(const tenant_limits& limits, std::uint64_t sandboxes, std::uint64_t memory_bytes,
                           std::uint64_t wanted_memory_bytes);

} // namespace sandy
