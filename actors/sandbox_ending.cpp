#include "actors/sandbox.hpp"

#include "coro/io.hpp"
#include "coro/request.hpp"
#include "coro/timer.hpp"
#include "metrics/registry.hpp"
#include "runtime/guest/local_data_plane.hpp"

#include <algorithm>

namespace sandy {

// How a sandbox ends: whatever the reason, one way.

namespace {

using namespace std::chrono_literals;

/// Between two tries to destroy a sandbox that the kernel would not let go of; doubled up to a minute.
constexpr auto first_destroy_pause = 200ms;
constexpr auto last_destroy_pause = 60s;
/// Until a sandbox that ends goes ahead of children that do not.
constexpr auto children_deadline = 20s;

} // namespace

caf::result<sandbox_ended> sandbox_state_machine::end(end_sandbox message) {
  co_await finish(message.reason);
  co_return sandbox_ended{record_.info.id, life_.reason()};
}

coro::task<void> sandbox_state_machine::finish(end_reason reason) {
  if (!life_.end(reason)) {
    co_await gone_.wait();
    co_return caf::unit;
  }
  listener_.reset();
  model_door_.reset();
  gate_.reset();
  inside_.reset(); // first: nothing is created from inside any more
  show_state();
  publish(reason == end_reason::failed ? life_event_type::failed : life_event_type::ending);
  ended_->reason = reason;
  env_.data.remove(record_.info.id);
  let_go_of_containers();
  env_.entrances->close(record_.info.id);
  co_await created_.wait();
  // Children first; one that hangs is the worker's to end, not a reason to live.
  if (auto worker = caf::actor_cast<worker_actor>(caf::actor_cast<caf::strong_actor_ptr>(worker_)))
    co_await coro::request(worker, children_deadline, sandbox_ending{record_.info.id, reason});

  if (!copying_) // a pause under way is over, and no other begins; copying takes long and ends with us
    co_await pausing_.acquire();
  auto pause = std::chrono::milliseconds{first_destroy_pause};
  for (;;) {
    auto destroyed = co_await coro::blocking<void>(
        env_.kernel_calls, [&d = env_.driver, id = record_.info.id] { return d.destroy(id); });
    if (destroyed)
      break;
    log("cannot be removed yet: " + text_of(destroyed.error()));
    co_await coro::sleep_for(pause);
    pause = std::min<std::chrono::milliseconds>(2 * pause, last_destroy_pause);
  }
  const auto& info = record_.info;
  tombstone stone{info.id, info.tenant, life_.reason(), env_.wall_clock(), info.parent, info.created_at};
  auto buried =
      co_await coro::blocking<void>(env_.store_calls, [&s = env_.store, stone] { return s.bury(stone); });
  if (!buried) // the janitor finds the record without a sandbox at the next start
    log("its record could not be removed: " + text_of(buried.error()));
  log(sentence(life_.reason()));
  publish(life_event_type::ended);
  env_.metrics.sandbox_ended(life_.reason());
  life_.enter(sandbox_state::gone);
  show_state();
  gone_.set();
  self_->quit();
  co_return caf::unit;
}

} // namespace sandy
