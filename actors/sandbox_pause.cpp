#include "actors/sandbox.hpp"

#include "coro/io.hpp"
#include "coro/timer.hpp"

namespace sandy {

// Who may use a sandbox, and how it stands still. The record says whether it is paused, and the kernel is
// brought in line with it, also after a crash in between.

namespace {

/// A guest that runs answers within a millisecond; one that does not must not keep a caller waiting.
constexpr auto renewal_patience = std::chrono::seconds{1};

} // namespace

caf::result<sandbox_opened> sandbox_state_machine::open(open_sandbox) {
  if (life_.state() == sandbox_state::creating)
    return fail(errc::sandbox_failed, "The sandbox is still being created");
  if (life_.state() != sandbox_state::ready)
    return no_such_sandbox();
  if (record_.info.paused != pause_cause::none)
    return open_paused();
  ended_->uses->touch();
  return sandbox_opened{record_.info.id};
}

caf::result<sandbox_opened> sandbox_state_machine::open_paused() {
  auto usable = co_await wake();
  if (!usable)
    co_return std::move(usable.error());
  co_return sandbox_opened{record_.info.id};
}

/// Makes it run for somebody who wants to use it.
coro::task<void> sandbox_state_machine::wake() {
  while (life_.state() == sandbox_state::ready && record_.info.paused == pause_cause::idle) {
    auto running = co_await thaw();
    if (!running)
      co_return std::move(running.error());
  }
  if (life_.state() != sandbox_state::ready)
    co_return no_such_sandbox();
  if (record_.info.paused == pause_cause::caller)
    co_return fail(errc::sandbox_paused,
                   "The sandbox is paused: POST /api/sandboxes/{id}/resume lets it go on");
  ended_->uses->touch();
  co_return caf::unit;
}

caf::result<sandbox_info> sandbox_state_machine::pause(pause_sandbox) {
  auto paused = co_await freeze(pause_cause::caller);
  if (!paused)
    co_return std::move(paused.error());
  co_return record_.info;
}

caf::result<sandbox_info> sandbox_state_machine::resume(resume_sandbox) {
  auto running = co_await thaw();
  if (!running)
    co_return std::move(running.error());
  co_return record_.info;
}

coro::task<void> sandbox_state_machine::store_paused(pause_cause cause) {
  auto stored = co_await coro::blocking<void>(
      env_.store_calls, [&s = env_.store, id = record_.info.id, cause] { return s.set_paused(id, cause); });
  co_return std::move(stored);
}

coro::task<void> sandbox_state_machine::freeze(pause_cause cause) {
  if (life_.state() != sandbox_state::ready) // the end has the turn
    co_return no_such_sandbox();
  auto turn = co_await pausing_.acquire();
  auto& paused = record_.info.paused;
  if (life_.state() != sandbox_state::ready)
    co_return no_such_sandbox();
  const auto before = paused;
  if (before == cause || before == pause_cause::caller) // a caller's pause is the stronger one
    co_return caf::unit;
  if (cause == pause_cause::idle) {
    // First: who comes to its ports from here on sees it, and who came before is seen by us.
    env_.entrances->set_state(record_.info.id, runtime::entrance_state::asleep);
    if (!unused_for_long()) {
      show_entrance();
      co_return fail(errc::conflict, "The sandbox is in use");
    }
  }
  paused = cause; // whoever wants to use it from here on wakes it, or is refused
  show_entrance();
  auto outcome = co_await store_paused(cause);
  if (outcome && before == pause_cause::none)
    outcome = co_await stop_processes();
  if (life_.state() != sandbox_state::ready) // the end waits for our turn, and takes a frozen sandbox as well
    co_return no_such_sandbox();
  if (!outcome) {
    paused = before;
    show_entrance();
    co_await store_paused(before);
    if (cause == pause_cause::caller && before == pause_cause::none)
      arm_idle();
    co_return std::move(outcome);
  }
  log(cause == pause_cause::idle ? "paused: nobody used it" : "paused");
  if (before == pause_cause::none)
    publish(life_event_type::paused);
  co_return caf::unit;
}

coro::task<void> sandbox_state_machine::stop_processes() {
  // With a fresh lease the guest has time, when it goes on, to hear that somebody still wants it.
  if (env_.settings.guest_lease.count() > 0)
    co_await coro::with_timeout(renewal_patience, renew_guest());
  auto frozen = co_await coro::blocking<void>(
      env_.kernel_calls, [&d = env_.driver, id = record_.info.id] { return d.pause(id); });
  co_return std::move(frozen);
}

coro::task<void> sandbox_state_machine::thaw() {
  if (life_.state() != sandbox_state::ready)
    co_return no_such_sandbox();
  auto turn = co_await pausing_.acquire();
  if (life_.state() != sandbox_state::ready)
    co_return no_such_sandbox();
  const auto before = record_.info.paused;
  if (before == pause_cause::none)
    co_return caf::unit;
  auto outcome = co_await store_paused(pause_cause::none);
  if (outcome && life_.state() == sandbox_state::ready)
    outcome = co_await coro::blocking<void>(
        env_.kernel_calls, [&d = env_.driver, id = record_.info.id] { return d.resume(id); });
  if (life_.state() != sandbox_state::ready)
    co_return no_such_sandbox();
  if (!outcome) {
    co_await store_paused(before);
    co_return std::move(outcome);
  }
  record_.info.paused = pause_cause::none;
  show_entrance();
  ended_->uses->touch();
  arm_idle();
  if (env_.settings.guest_lease.count() > 0)
    co_await coro::with_timeout(renewal_patience, renew_guest());
  log("resumed");
  publish(life_event_type::resumed);
  co_return caf::unit;
}

/// Copies what it wrote. It stands still meanwhile, and nobody pauses or resumes it; its end does not wait
/// for that, it ends the copying, too.
caf::result<layer_kept> sandbox_state_machine::keep(keep_layer message) {
  auto turn = co_await pausing_.acquire();
  if (life_.state() != sandbox_state::ready)
    co_return no_such_sandbox();
  guest::activity::use use{ended_->uses};
  copying_ = true;
  auto copied = co_await coro::blocking<runtime::layer_copy>(
      env_.kernel_calls,
      [&d = env_.driver, id = record_.info.id, to = message.to] { return d.copy_layer(id, to); });
  copying_ = false;
  if (life_.state() != sandbox_state::ready)
    co_return fail(errc::sandbox_ended, sentence(life_.reason()));
  if (!copied)
    co_return std::move(copied.error());
  log("its file system was copied");
  co_return layer_kept{copied->below, copied->size_bytes, record_.info, record_.env};
}

} // namespace sandy
