#include "actors/sandbox.hpp"

#include "actors/limits.hpp"
#include "coro/io.hpp"
#include "coro/pool.hpp"
#include "coro/timer.hpp"

namespace sandy {

// What bounds a sandbox's life: its lease, how long it may be unused, and the guest's own lease, which ends
// the sandbox when there is no server any more.

caf::result<sandbox_info> sandbox_state_machine::refresh(refresh_sandbox message) {
  if (life_.state() != sandbox_state::ready)
    co_return no_such_sandbox(); // the lease ran out first: one winner
  auto& info = record_.info;
  const auto ttl_before = info.ttl_seconds;
  const auto end_before = info.expires_at;
  if (message.ttl_seconds > 0)
    info.ttl_seconds = message.ttl_seconds;
  info.expires_at = env_.wall_clock() + 1000ll * info.ttl_seconds;
  bound_lease(info, env_.settings);
  arm_lease();
  ended_->uses->touch();
  auto written = co_await persist();
  if (life_.state() != sandbox_state::ready)
    co_return no_such_sandbox();
  if (!written) { // what is not stored does not hold after a restart: do not promise it
    info.ttl_seconds = ttl_before;
    info.expires_at = end_before;
    arm_lease();
    co_return std::move(written.error());
  }
  publish(life_event_type::renewed);
  log("renewed for " + std::to_string(info.ttl_seconds) + " s");
  co_return info;
}

void sandbox_state_machine::arm_lease() {
  lease_ = watch_lease();
  lease_.start();
}

coro::task<void> sandbox_state_machine::watch_lease() {
  // The lease is wall-clock time, the timer is not: look again when it fires.
  for (auto left = record_.info.expires_at - env_.wall_clock(); left > 0;
       left = record_.info.expires_at - env_.wall_clock())
    co_await coro::sleep_for(std::chrono::milliseconds(left));
  co_return co_await finish(end_reason::expired);
}

void sandbox_state_machine::arm_idle() {
  if (record_.info.idle_timeout_seconds == 0)
    return;
  idle_ = watch_idle();
  idle_.start();
}

bool sandbox_state_machine::unused_for_long() const {
  auto since = ended_->uses->idle_since();
  return since && env_.monotonic_clock() - *since >= std::chrono::seconds{record_.info.idle_timeout_seconds};
}

/// Ends, or pauses, the sandbox when it was not used for its idle timeout. Begun anew when it is resumed.
coro::task<void> sandbox_state_machine::watch_idle() {
  const coro::duration timeout = std::chrono::seconds{record_.info.idle_timeout_seconds};
  for (;;) {
    auto since = ended_->uses->idle_since();
    // In use now: whenever that ends, the timeout begins then, so that nothing is due before it could be.
    auto left = since ? *since + timeout - env_.monotonic_clock() : timeout;
    if (left > coro::duration::zero()) {
      co_await coro::sleep_for(left);
      continue;
    }
    if (life_.state() != sandbox_state::ready || record_.info.paused != pause_cause::none)
      co_return caf::unit;
    auto quiet = co_await ask_quiet_time();
    if (!quiet) // it is too busy to answer, or about to be found dead
      ended_->uses->touch();
    if (ended_->uses->idle_since() != since)
      continue;
    if (!record_.info.pause_on_idle)
      co_return co_await finish(end_reason::idle);
    auto paused = co_await freeze(pause_cause::idle);
    if (paused || life_.state() != sandbox_state::ready)
      co_return caf::unit;
    ended_->uses->touch(); // not now: try again after another timeout
  }
}

/// Learns what its processes do when nobody asks them to: what they write in the background is use as well.
coro::task<void> sandbox_state_machine::ask_quiet_time() {
  auto quiet = co_await coro::blocking<std::chrono::milliseconds>(
      env_.kernel_calls, [&d = env_.driver, where = instance_] { return d.quiet_time(*where); });
  if (!quiet)
    co_return std::move(quiet.error());
  ended_->uses->touch_at(env_.monotonic_clock() - *quiet);
  co_return caf::unit;
}

coro::task<void> sandbox_state_machine::renew_guest() {
  auto renewed = co_await coro::io<void>(
      env_.threads.here(), guest::renew_lease(instance_->guest_socket, env_.settings.guest_lease));
  if (!renewed)
    log("its first process does not answer: " + text_of(renewed.error()));
  co_return caf::unit;
}

coro::task<void> sandbox_state_machine::keep_guest() {
  while (life_.state() == sandbox_state::ready) {
    if (record_.info.paused == pause_cause::none) {
      co_await renew_guest();
      if (ended_->uses->idle_since())
        co_await ask_quiet_time(); // whoever looks for an idle sandbox finds this one's truth
    }
    co_await coro::sleep_for(env_.settings.guest_lease / 3);
  }
  co_return caf::unit;
}

} // namespace sandy
