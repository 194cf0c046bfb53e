#include "http/deadline_wheel.hpp"

#include <algorithm>

namespace sandy::http {

void deadline::set(std::chrono::milliseconds from_now) {
  due_ = std::chrono::steady_clock::now() + from_now;
  if (!linked() || wheel_.tick_of(due_) < slot_)
    wheel_.link(*this);
}

deadline_wheel::deadline_wheel(boost::asio::io_context& context, std::chrono::milliseconds tick)
    : timer_(context.get_executor())
    , tick_(tick) {}

std::uint64_t deadline_wheel::tick_of(clock::time_point time) const noexcept {
  return static_cast<std::uint64_t>((time - start_ + tick_ - clock::duration{1}) / tick_);
}

void deadline_wheel::link(deadline& entry) {
  if (!armed_)
    done_ = tick_of(clock::now()); // nothing was linked: the ticks in between have no work
  entry.slot_ = std::clamp(tick_of(entry.due_), done_ + 1, done_ + slots);
  entry.insert_before(wheel_[entry.slot_ % slots]);
  arm();
}

void deadline_wheel::arm() {
  if (armed_)
    return;
  armed_ = true;
  timer_.expires_at(start_ + tick_ * (done_ + 1));
  timer_.async_wait([self = weak_from_this()](boost::system::error_code ec) {
    if (auto wheel = self.lock(); wheel && !ec)
      wheel->turn();
  });
}

void deadline_wheel::turn() {
  auto now = clock::now();
  // Not tick_of: a tick is handled when it has passed, not when it begins.
  auto until = static_cast<std::uint64_t>((now - start_) / tick_);
  coro::list_hook seen;
  while (done_ < until) {
    auto& slot = wheel_[++done_ % slots];
    while (slot.linked())
      slot.next()->insert_before(seen);
  }
  while (seen.linked()) {
    auto& entry = static_cast<deadline&>(*seen.next());
    entry.unlink();
    if (entry.due_ == deadline::never)
      continue;
    if (entry.due_ > now) {
      entry.slot_ = std::clamp(tick_of(entry.due_), done_ + 1, done_ + slots);
      entry.insert_before(wheel_[entry.slot_ % slots]);
      continue;
    }
    entry.due_ = deadline::never;
    entry.expired_(entry.owner_);
  }
  armed_ = false;
  if (std::ranges::any_of(wheel_, [](const auto& slot) { return slot.linked(); }))
    arm();
}

} // namespace sandy::http
