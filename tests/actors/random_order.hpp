#pragma once

#include "machine.hpp"

#include <random>

namespace sandy::tests {

/// A machine on which the next to run is chosen by chance: any actor that has mail (one message of it), or
/// any call to the kernel that was made and not answered. The same seed gives the same order.
struct random_order : machine {
  explicit random_order(unsigned seed)
      : chance(seed) {
    held = true;
  }

  /// A number from 0 to `most`.
  std::size_t up_to(std::size_t most) { return std::uniform_int_distribution<std::size_t>{0, most}(chance); }
  bool one_in(std::size_t many) { return up_to(many - 1) == 0; }

  /// Lets one thing happen. @returns false when there is nothing to do.
  bool step() {
    auto& jobs = scheduler.jobs;
    auto choices = jobs.size() + calls.size();
    if (choices == 0)
      return false;
    auto chosen = up_to(choices - 1);
    if (chosen < jobs.size()) {
      std::swap(jobs.front(), jobs[chosen]);
      scheduler.run_once();
      return true;
    }
    auto call = std::move(calls[chosen - jobs.size()]);
    calls.erase(calls.begin() + static_cast<std::ptrdiff_t>(chosen - jobs.size()));
    call();
    return true;
  }
  /// A few things happen: between none and `most`.
  void some_steps(std::size_t most) {
    for (auto left = up_to(most); left > 0 && step(); --left) {
    }
  }
  void settle() {
    while (step()) {
    }
  }
  /// Lets virtual time pass in pieces, and everything that follows from it happen.
  void pass(std::chrono::milliseconds time) {
    constexpr std::chrono::milliseconds piece{50};
    settle();
    for (; time.count() > 0; time -= piece) {
      scheduler.advance_time(piece);
      settle();
    }
  }
  void start_in_order() {
    worker = system.spawn<coro::actor<worker_state, worker_actor>>(&env);
    settle();
  }
  template <class Handle, class Message>
  auto ask_and_settle(const Handle& handle, Message message) {
    auto asked = send(handle, std::move(message));
    settle();
    return asked.answer();
  }

  std::mt19937 chance;
};

} // namespace sandy::tests
