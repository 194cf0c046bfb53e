#pragma once

#include "runtime/unique_fd.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <vector>

namespace sandy::guest {

using runtime::unique_fd;

/// Milliseconds of the monotonic clock.
std::uint64_t monotonic_ms() noexcept;

/// Receives what the event loop has for it.
class event_source {
public:
  /// @param events EPOLLIN and the like; 0: the turn asked for with `registration::again`.
  virtual void on_events(std::uint32_t events) = 0;

protected:
  ~event_source() = default;
};

class timer_target {
public:
  virtual void on_timer() = 0;

protected:
  ~timer_target() = default;
};

/// A single-threaded epoll loop. Sources may end themselves or each other while events are handed out: what
/// belongs to an ended registration is dropped.
class event_loop {
public:
  event_loop();
  bool ok() const noexcept { return static_cast<bool>(epoll_); }

  /// Waits for events, timers or turns and hands them out once.
  void run_once();

private:
  friend class registration;
  friend class timer;
  using timer_queue = std::multimap<std::uint64_t, class timer*>;
  struct slot {
    event_source* source = nullptr;
    std::uint32_t generation = 0; ///< tells events for an earlier user of the slot
  };

  std::uint32_t take_slot(event_source& source);
  void free_slot(std::uint32_t index);
  std::uint64_t token(std::uint32_t index) const {
    return std::uint64_t{slots_[index].generation} << 32 | index;
  }
  void deliver(std::uint64_t token, std::uint32_t events);
  void fire_timers();
  int wait_ms() const;

  unique_fd epoll_;
  std::vector<slot> slots_;
  std::vector<std::uint32_t> free_;
  std::deque<std::uint64_t> turns_;
  timer_queue timers_;
};

/// One source's place in the loop, for at most one descriptor. Ends with this object, which must go before
/// the descriptor.
class registration {
public:
  registration(event_loop& loop, event_source& source);
  ~registration();
  registration(const registration&) = delete;
  registration& operator=(const registration&) = delete;

  /// Asks for events of `fd`; with 0 the descriptor is not looked at, not even for hang-ups. @return false
  /// with errno.
  bool watch(int fd, std::uint32_t events);
  /// Asks for one turn (events 0) in the next round, after everybody else had theirs.
  void again();

private:
  event_loop& loop_;
  std::uint32_t slot_;
  int fd_ = -1;
  std::uint32_t events_ = 0;
};

/// A deadline; fires once.
class timer {
public:
  timer(event_loop& loop, timer_target& target)
      : loop_(loop)
      , target_(target) {}
  ~timer() { stop(); }
  timer(const timer&) = delete;
  timer& operator=(const timer&) = delete;

  /// Fires `delay_ms` from now, instead of when it was to fire before.
  void start(std::uint64_t delay_ms);
  void stop();
  bool running() const noexcept { return running_; }

private:
  friend class event_loop;
  event_loop& loop_;
  timer_target& target_;
  std::multimap<std::uint64_t, timer*>::iterator place_;
  bool running_ = false;
};

} // namespace sandy::guest
