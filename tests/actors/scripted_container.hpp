#pragma once

#include "actors/container_box.hpp"
#include "coro/io.hpp"
#include "coro/timer.hpp"

#include <signal.h>

#include <functional>
#include <map>
#include <set>
#include <utility>
#include <vector>

namespace sandy::tests {

/// Runs of agents have scripted boxes, too: one program has both.
inline namespace of_containers {

/// What a container does when it is told to.
struct container_script {
  std::vector<process_spec> started;
  std::vector<int> signals;         ///< to programs that run
  std::vector<std::uint32_t> swept; ///< programs whose leftovers were ended, when they had ended
  std::set<std::uint32_t> ended;
  std::function<void()> go_on; ///< while `hold_start`: what starts the next program
  bool hold_start = false;
  std::map<std::uint32_t, result<process_exit>> outcomes;
  std::map<std::uint32_t, std::function<void()>> waiting; ///< called: the process has ended
  bool cannot_start = false, ignores_term = false;
  std::chrono::milliseconds start_takes{0};
  std::vector<std::size_t> hosts_before; ///< programs that had been started when names were taken over
  int renewals = 0;
  int trees = 0; ///< signals that were for all that a program started

  void end(std::uint32_t id, result<process_exit> how) {
    if (how)
      ended.insert(id);
    outcomes.insert_or_assign(id, std::move(how));
    if (auto found = waiting.find(id); found != waiting.end())
      std::exchange(found->second, [] {})();
  }
};

inline process_exit exit_of(int code) {
  process_exit end;
  end.exit_code = code;
  return end;
}

class scripted_box final : public container_box {
public:
  explicit scripted_box(container_script& told)
      : told_(told) {}
  coro::task<std::uint32_t> start(process_spec spec) override {
    told_.started.push_back(std::move(spec));
    const auto id = static_cast<std::uint32_t>(told_.started.size());
    if (told_.hold_start) {
      coro::offload later = [&told = told_](std::function<void()> call) { told.go_on = std::move(call); };
      co_await coro::blocking<bool>(later, [] { return result<bool>{true}; });
    }
    if (told_.cannot_start)
      co_return fail(errc::invalid_argument, "The program does not exist: serve");
    if (told_.start_takes.count() > 0)
      co_await coro::sleep_for(told_.start_takes);
    co_return id;
  }
  /// Programs may end when their box is gone.
  coro::task<process_exit> wait(std::uint32_t id) override {
    if (auto known = told_.outcomes.find(id); known != told_.outcomes.end())
      co_return known->second;
    coro::offload later = [&told = told_, id](std::function<void()> call) {
      if (told.ended.contains(id))
        call();
      else
        told.waiting.insert_or_assign(id, std::move(call));
    };
    auto end =
        co_await coro::blocking<process_exit>(later, [&told = told_, id] { return told.outcomes.at(id); });
    co_return std::move(end);
  }
  coro::task<void> signal(std::uint32_t id, int number, bool tree) override {
    if (id == 0)
      co_return fail(errc::process_not_found, "No such process");
    if (told_.ended.contains(id)) {
      if (!tree || number != SIGKILL)
        co_return fail(errc::conflict, "The process has ended");
      told_.swept.push_back(id);
      co_return caf::unit;
    }
    told_.signals.push_back(number);
    told_.trees += tree;
    if (number != SIGTERM || !told_.ignores_term)
      told_.end(id, exit_of(128 + number));
    co_return caf::unit;
  }
  coro::task<std::string> last_line(std::uint32_t) override { co_return std::string{"no such model"}; }
  coro::task<void> take_hosts(std::shared_ptr<sandbox_io>) override {
    told_.hosts_before.push_back(told_.started.size());
    co_return caf::unit;
  }
  coro::task<void> renew_lease(std::chrono::milliseconds) override {
    ++told_.renewals;
    co_return caf::unit;
  }

private:
  container_script& told_;
};

} // namespace of_containers
} // namespace sandy::tests
