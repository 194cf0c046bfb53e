#pragma once

#include "coro/intrusive_list.hpp"
#include "messages/sandbox_io.hpp"

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace sandy::http {

class deadline_wheel;

/// A time at which something is given up, e.g. a read. Setting and clearing it costs a store: it is moved in
/// its wheel only when the wheel comes by, or when the new time is earlier. Used on its wheel's thread.
class deadline : private coro::list_hook {
public:
  using callback = void (*)(void* owner);
  deadline(deadline_wheel& wheel, callback expired, void* owner) noexcept
      : wheel_(wheel)
      , expired_(expired)
      , owner_(owner) {}

  /// Calls `expired(owner)` once, at most one tick later than this.
  void set(std::chrono::milliseconds from_now);
  void clear() noexcept { due_ = never; }

private:
  friend class deadline_wheel;
  using time_point = std::chrono::steady_clock::time_point;
  static constexpr time_point never = time_point::max();

  deadline_wheel& wheel_;
  callback expired_;
  void* owner_;
  time_point due_ = never;
  std::uint64_t slot_ = 0; ///< the tick that looks at it next; valid while linked
};

/// The deadlines of all sockets of one io_context behind one timer: a timer per operation would cost more
/// than the operation. The timer runs only while there are deadlines. Used on the io_context's thread.
class deadline_wheel : public std::enable_shared_from_this<deadline_wheel> {
public:
  /// @param tick resolution; deadlines are met up to one tick late.
  deadline_wheel(boost::asio::io_context& context, std::chrono::milliseconds tick);

private:
  friend class deadline;
  using clock = std::chrono::steady_clock;
  static constexpr std::size_t slots =
      512; // two minutes at 250 ms; what is due later is looked at once per turn

  std::uint64_t tick_of(clock::time_point time) const noexcept;
  void link(deadline& entry);
  void arm();
  void turn();

  boost::asio::basic_waitable_timer<clock, boost::asio::wait_traits<clock>, io_executor> timer_;
  clock::duration tick_;
  clock::time_point start_ = clock::now();
  std::uint64_t done_ = 0; ///< every tick up to this one was handled
  bool armed_ = false;
  std::array<coro::list_hook, slots> wheel_;
};

} // namespace sandy::http
