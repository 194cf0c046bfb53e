#include "guest/event_loop.hpp"

#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

namespace sandy::guest {

std::uint64_t monotonic_ms() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1000 + static_cast<std::uint64_t>(now.tv_nsec) / 1'000'000;
}

event_loop::event_loop()
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {}

std::uint32_t event_loop::take_slot(event_source& source) {
  if (free_.empty()) {
    slots_.emplace_back();
    free_.push_back(static_cast<std::uint32_t>(slots_.size() - 1));
  }
  auto index = free_.back();
  free_.pop_back();
  slots_[index].source = &source;
  return index;
}

void event_loop::free_slot(std::uint32_t index) {
  slots_[index].source = nullptr;
  ++slots_[index].generation;
  free_.push_back(index);
}

void event_loop::deliver(std::uint64_t token, std::uint32_t events) {
  const auto& place = slots_[token & 0xffffffff];
  if (place.source && place.generation == token >> 32)
    place.source->on_events(events);
}

int event_loop::wait_ms() const {
  if (!turns_.empty())
    return 0;
  if (timers_.empty())
    return -1;
  auto now = monotonic_ms(), due = timers_.begin()->first;
  return due <= now ? 0 : static_cast<int>(std::min<std::uint64_t>(due - now, 3'600'000));
}

void event_loop::fire_timers() {
  auto now = monotonic_ms();
  while (!timers_.empty() && timers_.begin()->first <= now) {
    auto* due = timers_.begin()->second;
    due->stop();
    due->target_.on_timer();
  }
}

void event_loop::run_once() {
  epoll_event events[32];
  int count = ::epoll_wait(epoll_.get(), events, 32, wait_ms());
  // EINTR cannot come from a handler (we have none), only from being stopped and continued: the next round
  // waits again.
  for (int i = 0; i < count; ++i)
    deliver(events[i].data.u64, events[i].events);
  // Turns asked for from here on belong to the next round, so that long work and fresh events alternate.
  for (auto left = turns_.size(); left > 0; --left) {
    auto turn = turns_.front();
    turns_.pop_front();
    deliver(turn, 0);
  }
  if (!timers_.empty())
    fire_timers();
}

registration::registration(event_loop& loop, event_source& source)
    : loop_(loop)
    , slot_(loop.take_slot(source)) {}

registration::~registration() {
  watch(fd_, 0);
  loop_.free_slot(slot_);
}

bool registration::watch(int fd, std::uint32_t events) {
  if (events == events_ && (events == 0 || fd == fd_))
    return true;
  epoll_event wanted{};
  wanted.events = events;
  wanted.data.u64 = loop_.token(slot_);
  int what = events_ == 0 ? EPOLL_CTL_ADD : events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
  if (::epoll_ctl(loop_.epoll_.get(), what, fd, &wanted) != 0)
    return false;
  fd_ = fd;
  events_ = events;
  return true;
}

void registration::again() { loop_.turns_.push_back(loop_.token(slot_)); }

void timer::start(std::uint64_t delay_ms) {
  stop();
  auto now = monotonic_ms();
  auto due = delay_ms > UINT64_MAX - now ? UINT64_MAX : now + delay_ms;
  place_ = loop_.timers_.emplace(due, this);
  running_ = true;
}

void timer::stop() {
  if (!running_)
    return;
  loop_.timers_.erase(place_);
  running_ = false;
}

} // namespace sandy::guest
