#include "actors/warm_pool.hpp"

#include "coro/io.hpp"
#include "coro/request.hpp"
#include "coro/timer.hpp"
#include "metrics/log.hpp"
#include "metrics/registry.hpp"
#include "runtime/driver.hpp"

#include <algorithm>

namespace sandy {

namespace {

using namespace std::chrono_literals;

/// A refill takes a core for a while: it lets callers go first until none came for this long ...
constexpr auto quiet_time = 50ms;
/// ... but a stream of callers without a pause must not keep the pool empty for ever.
constexpr auto longest_wait = 1s;
/// Between two looks at the age of members, at their image and at the demand.
constexpr auto look_period = 30s;
constexpr auto first_failure_pause = 1s;
constexpr auto last_failure_pause = 60s;

} // namespace

warm_pool_state::warm_pool_state(self_pointer self, services* env, std::string kind, worker_actor worker)
    : self_(self)
    , env_(*env)
    , kind_(std::move(kind))
    , settings_(env->settings.flavors.at(kind_))
    , worker_(caf::actor_cast<caf::weak_actor_ptr>(worker))
    , target_(settings_.warm) {
  if (settings_.warm_max < settings_.warm)
    settings_.warm_max = 4 * settings_.warm;
}

warm_pool_actor::behavior_type warm_pool_state::make_behavior() {
  coro::spawn(keep_full());
  return {
      [this](take_warm) { return take(); },
      [this](warm_found found) {
        members_.push_back({std::move(found.id), found.made_at});
        show();
      },
      [this](const warm_ended& gone) {
        std::erase_if(members_, [&](const member& each) { return each.id == gone.id; });
        show();
        wake();
      },
  };
}

sandbox_id warm_pool_state::take() {
  last_claim_ = self_->clock().now();
  sandbox_id taken;
  if (members_.empty()) {
    ++misses_;
    target_ = std::min(std::max(2 * target_, settings_.warm), settings_.warm_max);
  } else {
    ++hits_;
    taken = std::move(members_.front().id);
    members_.pop_front();
  }
  env_.metrics.pool_asked(kind_, !taken.value.empty());
  show();
  wake();
  return taken;
}

void warm_pool_state::show() const {
  env_.metrics.pool_shown(kind_, members_.size(), target_);
  pool_health numbers{kind_,     static_cast<std::uint32_t>(members_.size()), target_, hits_, misses_, 0,
                      refill_ms_};
  for (const auto& each : members_)
    if (numbers.oldest_made_at == 0 || each.made_at < numbers.oldest_made_at)
      numbers.oldest_made_at = each.made_at;
  if (auto to = worker())
    caf::anon_send(to, std::move(numbers));
}

void warm_pool_state::wake() {
  bool signal = true;
  woken_.try_push(signal);
}

worker_actor warm_pool_state::worker() const {
  return caf::actor_cast<worker_actor>(caf::actor_cast<caf::strong_actor_ptr>(worker_));
}

coro::task<void> warm_pool_state::keep_full() {
  show();
  for (;;) {
    if (self_->clock().now() >= next_look_)
      co_await look_after();
    if (members_.size() >= target_) {
      co_await coro::with_timeout(look_period, woken_.take(1));
      continue;
    }
    co_await pace();
    auto made = co_await make_one();
    if (made) {
      failures_ = 0;
      continue;
    }
    auto pause = std::min<std::chrono::milliseconds>(first_failure_pause * (1u << std::min(failures_, 6u)),
                                                     last_failure_pause);
    // No room is the usual state of a busy machine, not a failure to tell anybody.
    if (auto code = code_of(made.error()); code != errc::capacity_exhausted && code != errc::shutting_down)
      log_event(log_level::warn, "warm_refill_failed", {{"flavor", kind_}, {"error", text_of(made.error())}});
    ++failures_;
    co_await coro::sleep_for(pause);
  }
}

/// Waits for the bucket's next token, and for a moment without callers.
coro::task<void> warm_pool_state::pace() {
  auto begun = self_->clock().now();
  next_refill_ = std::max(next_refill_, begun);
  while (next_refill_ > self_->clock().now())
    co_await coro::sleep_for(next_refill_ - self_->clock().now());
  next_refill_ += std::chrono::duration_cast<coro::duration>(
      std::chrono::duration<double>(1.0 / env_.settings.pool_refill_rate));
  for (auto now = self_->clock().now();
       last_claim_ != coro::time_point{} && now - last_claim_ < quiet_time && now - begun < longest_wait;
       now = self_->clock().now())
    co_await coro::sleep_for(quiet_time);
  co_return caf::unit;
}

coro::task<bool> warm_pool_state::make_one() {
  auto to = worker();
  if (!to)
    co_return fail(errc::cancelled, "The worker is gone");
  auto begun = self_->clock().now();
  auto lease = static_cast<std::uint32_t>(env_.settings.pool_max_age.count());
  auto made = co_await coro::request(to, coro::infinite, create_warm{kind_, lease});
  to = nullptr;
  if (!made)
    co_return std::move(made.error());
  members_.push_back({std::move(*made), env_.wall_clock()});
  auto took = self_->clock().now() - begun;
  refill_ms_ =
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(took).count());
  env_.metrics.pool_refilled(kind_, std::chrono::duration<double>(took).count());
  show();
  co_return true;
}

/// Replaces what is too old, and lets the target follow the demand.
coro::task<void> warm_pool_state::look_after() {
  next_look_ = self_->clock().now() + look_period;
  if (misses_ == std::exchange(misses_seen_, misses_) && target_ > settings_.warm)
    --target_;
  auto changed = co_await coro::blocking<unix_millis>(
      env_.kernel_calls, [&d = env_.driver, image = settings_.image] { return d.image_changed_at(image); });
  auto image_from = changed ? *changed : 0;
  auto oldest =
      env_.wall_clock() - 1000 * env_.settings.pool_max_age.count() * 9 / 10; // before its lease ends it
  auto surplus = members_.size() > target_ ? members_.size() - target_ : 0;
  retire_if([&](const member& each) {
    return each.made_at < image_from || each.made_at < oldest || (surplus > 0 && surplus-- > 0);
  });
  co_return caf::unit;
}

void warm_pool_state::retire_if(const std::function<bool(const member&)>& stale) {
  auto to = worker();
  for (auto each = members_.begin(); each != members_.end();) {
    if (!stale(*each)) {
      ++each;
      continue;
    }
    if (to)
      caf::anon_send(to, retire_warm{each->id});
    each = members_.erase(each);
  }
  show();
}

} // namespace sandy
