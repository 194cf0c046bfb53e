#include "actors/budget.hpp"

#include <algorithm>
#include <initializer_list>

namespace sandy {

namespace {

using namespace std::chrono_literals;

/// Nobody knows when a stream or a sandbox will end: soon is a guess that costs little.
constexpr std::uint32_t retry_when_in_use = 5;

/// Seconds for a client: it must not come back too early, and not "in 0 seconds".
std::uint32_t whole_seconds(token_bucket::duration time) {
  return static_cast<std::uint32_t>(
      std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::seconds>(time).count()));
}

admission refused(budget_kind kind, const token_bucket& bucket, token_bucket::time_point now,
                  std::uint64_t count = 1) {
  auto wait = whole_seconds(bucket.until_next(now, count));
  return {kind, wait, bucket.size(), 0, whole_seconds(bucket.until_full(now))};
}

/// What is left of the bucket that is nearest to its end.
admission nearest(std::initializer_list<const token_bucket*> buckets, token_bucket::time_point now) {
  admission all;
  for (const auto* each : buckets) {
    if (each->unlimited())
      continue;
    if (auto left = each->remaining(now); all.limit == 0 || left < all.remaining)
      all = {budget_kind::none, 0, each->size(), left, whole_seconds(each->until_full(now))};
  }
  return all;
}

token_bucket requests_of(const tenant_limits& limits) {
  return {limits.requests_per_second, 1s,
          limits.request_burst != 0 ? limits.request_burst : limits.requests_per_second};
}

token_bucket minute_of(const tenant_limits& limits) {
  return {limits.creations_per_minute, 1min, limits.creations_per_minute};
}

token_bucket hour_of(const tenant_limits& limits) {
  return {limits.creations_per_hour, 1h, limits.creations_per_hour};
}

} // namespace

token_bucket::token_bucket(std::uint64_t count, duration period, std::uint64_t size) {
  if (count == 0)
    return;
  auto step = static_cast<std::uint64_t>(period.count()) / count;
  step_ = duration{static_cast<std::int64_t>(std::max<std::uint64_t>(1, step))};
  // A bucket that takes a lifetime to fill is as good as a larger one, and its times are still numbers.
  constexpr duration lifetime = std::chrono::hours{24 * 365 * 100};
  size_ = std::clamp<std::uint64_t>(size, 1, static_cast<std::uint64_t>(lifetime / step_));
}

token_bucket::duration token_bucket::until_full(time_point now) const noexcept {
  return full(now) ? duration{0} : full_at_ - now;
}

std::uint64_t token_bucket::remaining(time_point now) const noexcept {
  if (unlimited())
    return 0;
  auto missing = until_full(now);
  auto taken =
      static_cast<std::uint64_t>((missing + step_ - duration{1}) / step_); // a part of a token is none
  return size_ - std::min(size_, taken);
}

token_bucket::duration token_bucket::until_next(time_point now, std::uint64_t count) const noexcept {
  if (unlimited())
    return duration{0};
  if (count > size_)
    return until_full(now) + step_;
  auto room = step_ * static_cast<std::int64_t>(size_ - count);
  return std::max(duration{0}, until_full(now) - room);
}

void token_bucket::take(time_point now, std::uint64_t count) noexcept {
  if (!unlimited())
    full_at_ = std::max(now, full_at_) + step_ * static_cast<std::int64_t>(count);
}

void token_bucket::replace(const token_bucket& old, time_point now) noexcept {
  if (unlimited() || old.unlimited())
    return;
  auto taken = std::min(size_, old.size_ - old.remaining(now));
  full_at_ = now + step_ * static_cast<std::int64_t>(taken);
}

budget::budget(const tenant_limits& limits)
    : requests_(requests_of(limits))
    , minute_(minute_of(limits))
    , hour_(hour_of(limits))
    , max_streams_(limits.streams) {}

admission budget::admit(request_cost cost, time_point now, std::uint32_t count) {
  if (requests_.until_next(now) > 0ns)
    return refused(budget_kind::requests, requests_, now);
  requests_.take(now);
  switch (cost) {
  case request_cost::plain:
    break;
  case request_cost::creation: {
    const auto& later = minute_.until_next(now, count) > hour_.until_next(now, count) ? minute_ : hour_;
    if (later.until_next(now, count) > 0ns)
      return refused(budget_kind::creations, later, now, count);
    minute_.take(now, count);
    hour_.take(now, count);
    return nearest({&requests_, &minute_, &hour_}, now);
  }
  case request_cost::stream:
    if (max_streams_ != 0 && streams_ >= max_streams_)
      return {budget_kind::streams, retry_when_in_use, max_streams_, 0, retry_when_in_use};
    ++streams_;
  }
  return nearest({&requests_}, now);
}

void budget::change(const tenant_limits& limits, time_point now) {
  budget changed{limits};
  changed.requests_.replace(requests_, now);
  changed.minute_.replace(minute_, now);
  changed.hour_.replace(hour_, now);
  changed.streams_ = streams_;
  *this = changed;
}

bool budget::idle(time_point now) const noexcept {
  return streams_ == 0 && requests_.full(now) && minute_.full(now) && hour_.full(now);
}

result<void> within_budget(const tenant_limits& limits, std::uint64_t sandboxes, std::uint64_t memory_bytes,
                           std::uint64_t wanted_memory_bytes) {
  if (limits.sandboxes != 0 && sandboxes >= limits.sandboxes)
    return fail_for_now(errc::rate_limited, "Active sandbox limit exceeded.", retry_when_in_use);
  if (limits.memory_bytes != 0 &&
      (memory_bytes > limits.memory_bytes || wanted_memory_bytes > limits.memory_bytes - memory_bytes))
    return fail_for_now(errc::rate_limited, "Memory limit of all sandboxes exceeded.", retry_when_in_use);
  return caf::unit;
}

} // namespace sandy
