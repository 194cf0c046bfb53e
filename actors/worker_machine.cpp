#include "actors/limits.hpp"
#include "actors/worker.hpp"
#include "coro/io.hpp"
#include "coro/timer.hpp"
#include "metrics/log.hpp"
#include "metrics/registry.hpp"

#include <algorithm>

namespace sandy {

// What the worker says of its machine, and how it comes to know it.

namespace {

using namespace std::chrono_literals;

/// The machine's history is one point a minute; its load is read more often, so that `resources` is fresh and
/// a shortage is seen before the kernel acts on it.
constexpr auto load_period = 2s;
constexpr int loads_per_sample = 30;

} // namespace

caf::result<worker_health> worker_state::health(get_health) {
  if (!recovered_.is_set())
    co_await recovered_.wait();
  co_return worker_health{accepting_, claimed(), pool_numbers()};
}

caf::result<worker_resources> worker_state::resources(get_resources) {
  worker_resources answer;
  // For a sandbox whose creator says nothing special.
  auto reason = shortage(amounts_of(blank(env_.settings.flavors.begin()->first).info.limits));
  if (!reason && making_ >= env_.settings.create_concurrency && waiting() >= env_.settings.create_queue)
    reason = refusal::queue_full;
  answer.can_create = !reason;
  if (reason)
    answer.reject_reason = sentence(*reason);
  answer.sandboxes = claimed();
  answer.pools = pool_numbers();
  answer.max_sandboxes = env_.settings.max_sandboxes;
  answer.by_priority.assign(4, 0);
  for (const auto& each : live_)
    if (!each.second.warm)
      ++answer.by_priority[std::min<std::size_t>(each.second.priority, 3)];
  answer.cpu_ratio = load_.cpu_ratio;
  answer.cpu_count = load_.cpu_count;
  answer.load1 = load_.load1;
  answer.load5 = load_.load5;
  answer.load15 = load_.load15;
  answer.memory_total_bytes = load_.memory_total_bytes;
  answer.memory_available_bytes = load_.memory_available_bytes;
  answer.disk_total_bytes = load_.disk_total_bytes;
  answer.disk_free_bytes = load_.disk_free_bytes;
  answer.room.shares = room_.shares(promised());
  answer.room.waiting = static_cast<std::uint32_t>(waiting());
  answer.room.making = making_;
  for (const auto* line : {&for_place_, &for_turn_})
    for (const auto& order : *line) {
      auto waited =
          std::chrono::duration_cast<std::chrono::milliseconds>(self_->clock().now() - order->begun);
      answer.room.longest_wait_ms =
          std::max(answer.room.longest_wait_ms, static_cast<std::uint64_t>(waited.count()));
    }
  return answer;
}

caf::result<std::vector<resource_sample>> worker_state::timeseries(get_timeseries request) {
  auto since = env_.wall_clock() - 3'600'000ll * request.hours;
  auto samples = co_await coro::blocking<std::vector<resource_sample>>(
      env_.store_calls, [&s = env_.store, since] { return s.samples(since); });
  co_return std::move(samples);
}

coro::task<void> worker_state::sample_host() {
  for (int round = 0;; ++round) {
    auto load = co_await coro::blocking<runtime::host_load>(
        env_.kernel_calls, [this, path = env_.settings.data_dir]() -> result<runtime::host_load> {
          return env_.read_host(path);
        });
    if (load)
      room_.see(load_ = *load);
    relieve_memory();
    give_places();
    if (round % loads_per_sample == 0 && load_.memory_total_bytes > 0 && load_.disk_total_bytes > 0) {
      auto used = [](std::uint64_t total, std::uint64_t free) {
        return 1.0 - static_cast<double>(free) / static_cast<double>(total);
      };
      resource_sample sample{env_.wall_clock(), load_.cpu_ratio,
                             used(load_.memory_total_bytes, load_.memory_available_bytes),
                             used(load_.disk_total_bytes, load_.disk_free_bytes)};
      auto stored = co_await coro::blocking<void>(env_.store_calls,
                                                  [&s = env_.store, sample] { return s.add_sample(sample); });
      if (!stored)
        log_event(log_level::warn, "sample_lost", {{"error", text_of(stored.error())}});
    }
    co_await coro::sleep_for(load_period);
  }
}

} // namespace sandy
