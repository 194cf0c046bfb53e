#include "actors/agent_run.hpp"
#include "coro/io.hpp"
#include "coro/timer.hpp"
#include "metrics/registry.hpp"
#include "runtime/driver.hpp"

namespace sandy {

// How a run ends: by itself, by whoever wants it, with its time, or with its sandbox. Told once, and truly.

namespace {

using namespace std::chrono_literals;

/// For a program that was asked to end, before it is killed.
constexpr auto interrupt_grace = 3s;
/// Between two tries to kill what could not be killed.
constexpr auto kill_again = 1s;

bool is_missing_program(const caf::error& error) {
  return code_of(error) == errc::invalid_argument && text_of(error).starts_with("The program does not exist");
}

} // namespace

coro::task<void> agent_run_state::wait_for(coro::event& what) {
  co_await what.wait();
  co_return caf::unit;
}

coro::task<void> agent_run_state::watch_deadline() {
  co_await coro::sleep_for(std::chrono::milliseconds{order_.max_ms});
  // No `error`: a client repeats the whole run when that names a timeout.
  if (!stopping_ && stop(agents::ending::max_duration))
    co_await say(agents::status_event("The run reached its maximum duration of " +
                                      std::to_string(order_.max_ms / 1000) + " s and is ended"));
  co_return caf::unit;
}

bool agent_run_state::stop(agents::ending why) {
  if (info_.ended_at != 0 || over_.is_set())
    return false;
  if (!stopping_) {
    stopping_ = why;
    coro::spawn(started_ ? end_process() : end_start());
  }
  return true;
}

/// What has not started will not; a sandbox that does not answer is not waited for.
coro::task<void> agent_run_state::end_start() {
  co_await coro::with_timeout(control_patience, wait_for(over_));
  if (!started_)
    over_.set();
  co_return caf::unit;
}

/// Asks the program to end, then kills its whole group: it and all that it started. Does not stop trying:
/// what is in a paused sandbox dies later.
coro::task<void> agent_run_state::end_process() {
  co_await coro::with_timeout(control_patience, box_->signal(agent_.interrupt));
  co_await coro::with_timeout(interrupt_grace, wait_for(over_));
  for (;;) {
    auto killed = co_await end_group();
    if (killed) // its end comes with the output that is left
      co_await coro::with_timeout(control_patience, wait_for(over_));
    over_.set();
    swept_.set();
    if (killed)
      co_return caf::unit;
    co_await coro::sleep_for(kill_again);
  }
}

coro::task<void> agent_run_state::end_group() {
  auto ended =
      co_await coro::blocking<void>(env_.kernel_calls, [&d = env_.driver, id = sandbox_, name = info_.id] {
        return d.end_group(id, name);
      });
  co_return std::move(ended);
}

/// What the agent left running, a server that it was to start perhaps, stays, and its group with it.
coro::task<void> agent_run_state::leave_group() {
  auto left = co_await coro::blocking<void>(
      env_.kernel_calls, [&d = env_.driver, id = sandbox_] { return d.remove_empty_groups(id); });
  co_return std::move(left);
}

coro::task<void> agent_run_state::finish() {
  co_await tell(reader_.finish());
  co_await take_errors({});
  const auto& outcome = outcome_;
  const auto& said = reader_.said();
  auto how = stopping_.value_or(agents::ending::by_itself);
  std::string failure;
  if (!outcome && code_of(outcome.error()) == errc::sandbox_ended) {
    how = agents::ending::sandbox_ended;
    failure = text_of(outcome.error());
  } else if (how == agents::ending::server_stops) {
    failure = "The server stops, and ended the agent";
  } else if (!outcome && !stopping_) {
    failure = text_of(outcome.error());
    if (is_missing_program(outcome.error())) {
      how = agents::ending::not_installed;
      failure = agent_.name + " is not installed in this sandbox";
    }
  } else if (!stopping_) {
    failure = said.failure();
  }
  const auto exit_code = outcome ? outcome->exit_code : 1;
  const auto end = agents::completion_of(how, exit_code, outcome && said.succeeded(exit_code), elapsed());
  if (failure.empty() && how == agents::ending::by_itself && !end.success)
    failure = agent_.name + (exit_code == 0 ? " ended without saying that it succeeded"
                                            : " ended with exit code " + std::to_string(exit_code));
  info_.error = failure;
  info_.output = said.answer().empty() ? std::move(printed_) : said.answer();
  if (info_.output.size() > most_output)
    info_.output.erase(0, info_.output.size() - most_output);
  info_.files = files_.names();
  info_.exit_code = end.exit_code;
  info_.ended_at = env_.wall_clock();
  info_.current.clear();
  info_.status = end.success                            ? run_status::succeeded
                 : end.cancelled                        ? run_status::cancelled
                 : how == agents::ending::max_duration  ? run_status::timed_out
                 : how == agents::ending::sandbox_ended ? run_status::sandbox_ended
                                                        : run_status::failed;
  env_.metrics.agent_finished(info_.status, std::chrono::duration<double>(elapsed()).count());
  log("agent_ended", to_string(info_.status));
  auto recorded = co_await record();
  if (!recorded) // the truth about the end goes out all the same
    log("agent_run_not_recorded", text_of(recorded.error()));
  if (!failure.empty())
    co_await say(agents::error_event(failure));
  co_await say(agents::complete_event(end));
  events_.close();
  box_.reset(); // the sandbox is not in use by us any more
  co_return caf::unit;
}

} // namespace sandy
