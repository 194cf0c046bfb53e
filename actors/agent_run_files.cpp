#include "actors/agent_run.hpp"
#include "coro/timer.hpp"

namespace sandy {

// Which files a run changes, told while it goes on and once more at its end.

namespace {

using namespace std::chrono_literals;

/// Between two looks at which files changed: editors write a file in several steps.
constexpr auto files_period = 1s;
constexpr std::size_t files_per_event = 50;
/// Until what the guest has sent is here.
constexpr auto last_changes = 20ms;

} // namespace

coro::task<void> agent_run_state::watch_files() {
  for (;;) {
    auto change = co_await box_->next_change();
    if (!change)
      co_return std::move(change.error());
    files_.note(*change);
  }
}

coro::task<void> agent_run_state::tell_files() {
  while (!over_.is_set()) {
    co_await coro::with_timeout(files_period, wait_for(over_));
    co_await report_files(); // one that does not answer may be paused: what it did not tell comes later
  }
  co_return caf::unit;
}

/// Tells what the run wrote last, and looks no longer.
coro::task<void> agent_run_state::last_files() {
  if (!watching_)
    co_return caf::unit;
  // What happened before the guest answers a question has been sent by then, and arrives soon.
  co_await coro::with_timeout(control_patience, box_->stat(std::string{workspace}));
  co_await coro::sleep_for(last_changes);
  watching_.reset(); // first: what goes on writing must not go on being told
  co_await *telling_;
  while (files_.any()) {
    auto told = co_await report_files();
    if (!told)
      co_return std::move(told.error());
  }
  co_return caf::unit;
}

/// Tells of some files that changed. Fails with deadline_exceeded when the sandbox does not answer; then the
/// rest waits to be told.
coro::task<void> agent_run_state::report_files() {
  std::vector<agents::changed_file> shown;
  caf::error failure;
  for (auto& each : files_.take(files_per_event)) {
    if (failure) {
      files_.give_back(each);
      continue;
    }
    auto content = co_await coro::with_timeout(
        control_patience, box_->read(std::string{workspace} + "/" + each.path, agents::most_content));
    if (content) { // else it is gone again, or no file
      shown.push_back({std::move(each.path), std::move(*content), each.created});
    } else if (code_of(content.error()) == errc::deadline_exceeded) {
      failure = std::move(content.error());
      files_.give_back(each);
    }
  }
  info_.files = files_.names();
  if (!shown.empty())
    co_await say(agents::files_update_event(shown, files_.total()));
  if (failure)
    co_return std::move(failure);
  co_return caf::unit;
}

} // namespace sandy
