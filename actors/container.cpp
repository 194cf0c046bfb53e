#include "actors/container.hpp"

#include "coro/io.hpp"
#include "coro/timer.hpp"
#include "metrics/log.hpp"

#include <signal.h>

#include <algorithm>

namespace sandy {

namespace {

using namespace std::chrono_literals;

/// Kept of what its program prints, in the sandbox's memory. The guest keeps those of programs that ended as
/// well, up to 128 of them: together they are to stay small.
constexpr std::uint64_t ring_bytes = 512ull << 10;
/// Between two questions to a guest that could not say whether a program runs.
constexpr auto ask_again = 1s;
/// One that is asked how it is answers by then.
constexpr auto check_timeout = 5s;
/// Between two questions. One that starts is asked often: callers wait for it.
constexpr coro::duration check_pause_starting = 100ms, check_pause = 10s;
/// Questions in a row without an answer, after which one that was healthy is not.
constexpr std::uint32_t most_failed_checks = 3;
/// Before it is started again; doubled each time that it ends soon.
constexpr auto first_restart_pause = 1s, last_restart_pause = 60s;
/// One that ran for so long, and was healthy, did not end soon.
constexpr auto long_enough = 10s;
/// For what was killed to be gone.
constexpr auto kill_patience = 5s;
/// For a guest to do what it is told at once.
constexpr auto control_patience = 5s;

/// No program of this id runs. Other errors are those of a guest, or a server, that has no room now.
bool is_final(const caf::error& why) {
  auto code = code_of(why);
  return code == errc::sandbox_ended || code == errc::process_not_found;
}

} // namespace

container_state::container_state(self_pointer self, services* env, container_record record,
                                 std::shared_ptr<container_box> box, std::string workdir, bool found)
    : self_(self)
    , env_(*env)
    , record_(std::move(record))
    , info_(record_.info)
    , box_(std::move(box))
    , workdir_(std::move(workdir))
    , found_(found) {}

container_actor::behavior_type container_state::make_behavior() {
  return {
      [this](start_container message) { return start(message); },
      [this](describe_container) { return info_; },
      [this](end_container message) { return end(message); },
  };
}

/// Sleeps, but not for longer than until its program is started again.
coro::task<void> container_state::rest(coro::duration time) {
  co_await coro::with_timeout(time, started_again_.take(1));
  co_return caf::unit;
}

coro::task<void> container_state::wait_for(coro::event& what) {
  co_await what.wait();
  co_return caf::unit;
}

caf::result<container_info> container_state::start(start_container) {
  if (env_.settings.guest_lease.count() > 0 && !info_.workload) // the sandbox's own guest is its to keep
    coro::spawn(keep_guest());
  if (found_) {
    if (info_.process_id == 0 || info_.status == container_status::exited) {
      settle(container_status::exited, info_.error);
      co_return info_;
    }
    info_.status = container_status::running;
    info_.health = container_health::starting;
    launched_ = self_->clock().now();
    settled_.set();
    coro::spawn(follow());
    coro::spawn(watch_health());
    log("container_found");
    co_return info_;
  }
  if (info_.workload)
    settled_.set(); // nobody waits for its health
  auto launched = co_await launch();
  if (!launched) {
    settle(container_status::exited, text_of(launched.error()));
    if (info_.workload) // it is shown
      co_await persist();
    co_return std::move(launched.error());
  }
  coro::spawn(follow());
  coro::spawn(watch_health());
  if (info_.workload) {
    log("workload_started");
    co_return info_;
  }
  auto in_time = co_await coro::with_timeout(env_.settings.containers.start_period, wait_for(settled_));
  if (info_.health == container_health::healthy) {
    log("container_healthy");
    co_return info_;
  }
  if (stopping_)
    co_return fail(errc::upstream_error, "The container was stopped before it was healthy");
  auto words = co_await last_words();
  auto said = words && !words->empty() ? ". Its last words: " + *words : std::string{};
  if (in_time)
    co_return fail(errc::upstream_error, info_.error + " before it was healthy" + said);
  co_return fail(errc::deadline_exceeded, "The container did not answer GET /health on port " +
                                              std::to_string(info_.port) + " in time" + said);
}

coro::task<void> container_state::launch() {
  process_spec spec;
  spec.argv = record_.program.arguments;
  spec.cwd = workdir_;
  spec.env = record_.program.env;
  spec.user = record_.program.user;
  spec.ring_bytes = ring_bytes;
  spec.unheeded = info_.workload; // it may print with every question for its health
  launching_ = true;
  auto started = co_await box_->start(std::move(spec));
  launching_ = false;
  if (!started)
    co_return fail(errc::upstream_error,
                   "The container's program cannot be started: " + text_of(started.error()));
  info_.process_id = *started;
  info_.status = stopping_ ? container_status::stopping : container_status::running;
  info_.health = container_health::starting;
  info_.started_at = env_.wall_clock();
  info_.ended_at = 0;
  info_.exit_code = 0;
  info_.error.clear();
  failed_checks_ = 0;
  launched_ = self_->clock().now();
  if (bool signal = true; settled_.is_set())
    started_again_.try_push(signal);
  if (stopping_) // while it was started: who stops it had nothing to end yet
    co_await end_tree();
  auto stored = co_await persist();
  // One that serves already runs on, and is recorded later: another one would be started beside it.
  if (!stored && !settled_.is_set()) {
    co_await end_tree();
    co_return std::move(stored.error());
  }
  co_return caf::unit;
}

/// Kills its program and what that started; when the program has ended, what is left of its session.
coro::task<void> container_state::end_tree() {
  auto sent = co_await coro::with_timeout(control_patience, box_->signal(info_.process_id, SIGKILL, true));
  co_return std::move(sent);
}

/// It runs no more, and stays so.
void container_state::settle(container_status status, std::string error) {
  info_.status = status;
  info_.health = container_health::none;
  info_.error = std::move(error);
  settled_.set();
  ended_.set();
}

bool container_state::wants_restart() const {
  switch (info_.restart) {
  case restart_policy::never:
    return false;
  case restart_policy::on_failure:
    return info_.exit_code != 0 && restarts_in_a_row_ < record_.program.max_restarts;
  case restart_policy::always:
    return true;
  }
  return false;
}

/// Sees each of its programs to its end.
coro::task<void> container_state::follow() {
  for (;;) {
    auto end = co_await box_->wait(info_.process_id);
    if (!end && !is_final(end.error())) {
      co_await coro::sleep_for(ask_again);
      continue;
    }
    if (!end) { // its process 1 is gone, and all with it
      info_.ended_at = env_.wall_clock();
      settle(container_status::exited, "The container ended: " + text_of(end.error()));
      break;
    }
    const auto was_healthy = info_.health == container_health::healthy;
    info_.exit_code = end->exit_code;
    info_.ended_at = env_.wall_clock();
    info_.health = container_health::none;
    if (was_healthy && self_->clock().now() - launched_ >= long_enough)
      restarts_in_a_row_ = 0;
    auto how = "The container's program ended with exit code " + std::to_string(end->exit_code);
    log("container_program_ended", how);
    if (!stopping_ && (!settled_.is_set() || !wants_restart())) {
      settle(container_status::exited, how);
      break;
    }
    if (!stopping_) {
      info_.status = container_status::restarting;
      info_.error = how;
    }
    co_await end_tree(); // what it left running would keep its port
    if (stopping_) {
      settle(container_status::exited);
      break;
    }
    co_await persist();
    auto again = co_await start_again();
    if (!again || !*again)
      break;
  }
  co_await persist();
  co_return caf::unit;
}

/// @returns false when it was stopped meanwhile, or cannot be started.
coro::task<bool> container_state::start_again() {
  for (;;) {
    auto pause = std::min<coro::duration>(first_restart_pause * (1u << std::min(restarts_in_a_row_, 6u)),
                                          last_restart_pause);
    ++restarts_in_a_row_;
    co_await coro::sleep_for(pause);
    if (stopping_) {
      settle(container_status::exited);
      co_return false;
    }
    ++info_.restarts;
    auto launched = co_await launch();
    if (launched)
      co_return true;
    log("container_not_restarted", text_of(launched.error()));
    info_.exit_code = 127; // as a shell says of what cannot be started
    if (stopping_ || !wants_restart()) {
      settle(container_status::exited, text_of(launched.error()));
      co_return false;
    }
    info_.status = container_status::restarting;
    info_.error = text_of(launched.error());
  }
}

coro::task<void> container_state::watch_health() {
  while (!ended_.is_set()) {
    if (info_.status == container_status::running)
      co_await check();
    if (!recorded_)
      co_await persist();
    const auto starting = info_.health == container_health::starting;
    co_await rest(starting ? check_pause_starting : check_pause);
  }
  co_return caf::unit;
}

coro::task<void> container_state::check() {
  const auto process = info_.process_id;
  result<void> answer = caf::unit;
  if (env_.check_health)
    answer = co_await coro::with_timeout(check_timeout, env_.check_health(info_.sandbox, info_.port));
  if (info_.status != container_status::running || info_.process_id != process)
    co_return caf::unit; // the answer is of another
  if (!answer && code_of(answer.error()) == errc::sandbox_paused)
    co_return caf::unit; // it stands still, and is as it was
  if (answer) {
    failed_checks_ = 0;
    info_.error.clear();
    info_.health = container_health::healthy;
    settled_.set();
    co_return caf::unit;
  }
  ++failed_checks_;
  const auto starting = info_.health == container_health::starting;
  if (starting ? self_->clock().now() - launched_ < env_.settings.containers.start_period
               : failed_checks_ < most_failed_checks)
    co_return caf::unit;
  if (info_.health != container_health::unhealthy)
    log("container_unhealthy", text_of(answer.error()));
  info_.health = container_health::unhealthy;
  info_.error = "GET /health failed: " + text_of(answer.error());
  co_return caf::unit;
}

/// What is asked of one that stands still waits for it, and renews the lease when it goes on.
coro::task<void> container_state::keep_guest() {
  for (;;) {
    auto renewed = co_await box_->renew_lease(env_.settings.guest_lease);
    if (!renewed && ended_.is_set())
      co_return caf::unit;
    co_await coro::sleep_for(env_.settings.guest_lease / 3);
  }
}

coro::task<std::string> container_state::last_words() {
  if (info_.process_id == 0)
    co_return std::string{};
  auto words = co_await coro::with_timeout(control_patience, box_->last_line(info_.process_id));
  co_return std::move(words);
}

caf::result<container_info> container_state::end(end_container message) {
  if (ended_.is_set())
    co_return info_;
  stopping_ = true;
  if (info_.status == container_status::restarting && !launching_) {
    settle(container_status::exited); // nothing runs; what sleeps finds that it is over
  } else {
    info_.status = container_status::stopping;
    if (message.grace_seconds > 0) {
      if (!launching_) // else who starts it ends it as soon as it runs
        co_await coro::with_timeout(control_patience, box_->signal(info_.process_id, SIGTERM, true));
      co_await coro::with_timeout(std::chrono::seconds{message.grace_seconds}, wait_for(ended_));
    }
    if (!ended_.is_set()) {
      co_await end_tree();
      co_await coro::with_timeout(kill_patience, wait_for(ended_));
    }
  }
  if (!ended_.is_set())
    co_return fail(errc::sandbox_failed, "The container does not end");
  log("container_stopped");
  co_await persist();
  co_return info_;
}

coro::task<void> container_state::persist() {
  auto stored = co_await coro::blocking<void>(env_.store_calls,
                                              [&s = env_.store, r = record_] { return s.put_container(r); });
  recorded_ = static_cast<bool>(stored);
  if (!stored)
    log("container_not_recorded", text_of(stored.error()));
  co_return std::move(stored);
}

void container_state::log(std::string_view what, std::string_view detail) const {
  log_event(log_level::info, what,
            {{"sandbox_id", info_.sandbox.value},
             {"container_id", info_.id.value},
             {"image", info_.image},
             {"detail", std::string{detail}}});
}

} // namespace sandy
