#include "actors/janitor.hpp"
#include "actors/limits.hpp"
#include "actors/worker.hpp"
#include "coro/io.hpp"
#include "coro/request.hpp"
#include "metrics/log.hpp"

#include <algorithm>
#include <map>

namespace sandy {

// How the worker takes over what a previous server left: sandboxes that run, their layers and connections.

namespace {

/// Brings the kernel in line with the record of a sandbox: the server may have died between the two.
result<void> settle_pause(runtime::driver& driver, const sandbox_id& id, const runtime::instance& where,
                          pause_cause paused) {
  if (paused != pause_cause::none)
    return driver.pause(id);
  auto running = driver.resume(id);
  return running ? driver.verify(id, where) : running;
}

/// What its ancestors impose on each network is what they have: the server may have died between storing a
/// policy and telling the descendants.
void bound_networks(std::vector<sandbox_record>& records) {
  std::map<sandbox_id, const sandbox_record*> by_id;
  for (const auto& each : records)
    by_id[each.info.id] = &each;
  for (auto& each : records) {
    each.network_bounds.clear();
    auto above = by_id.find(each.info.parent);
    while (above != by_id.end() && each.network_bounds.size() < records.size()) {
      const auto& info = above->second->info;
      each.network_bounds.push_back({info.id, info.network});
      above = by_id.find(info.parent);
    }
  }
}

} // namespace

coro::task<void> worker_state::recover() {
  auto stones = co_await coro::blocking<std::vector<tombstone>>(
      env_.store_calls,
      [&s = env_.store, before = env_.wall_clock() - tombstone_life_ms]() -> result<std::vector<tombstone>> {
        if (auto forgotten = s.forget_tombstones(before); !forgotten)
          return std::move(forgotten.error());
        return s.tombstones();
      });
  if (stones)
    for (auto& stone : *stones)
      bury(stone);
  auto records = co_await coro::blocking<std::vector<sandbox_record>>(
      env_.store_calls, [&s = env_.store] { return s.records(); });
  if (!records) { // without the truth nothing can be promised: let the operator see it
    log_event(log_level::error, "store_unreadable", {{"error", text_of(records.error())}});
    self_->quit(std::move(records.error()));
    co_return caf::unit;
  }
  auto known = co_await read_layers();
  if (!known) {
    log_event(log_level::error, "store_unreadable", {{"error", text_of(known.error())}});
    self_->quit(std::move(known.error()));
    co_return caf::unit;
  }
  bound_networks(*records);
  std::vector<coro::task<void>> recoveries;
  for (auto& record : *records)
    recoveries.push_back(recover_one(std::move(record)));
  co_await coro::when_all(std::move(recoveries));
  for (const auto& stone : tombstones_)
    family_.remember_birth(stone.second.parent, stone.second.created_at);
  end_orphans();
  co_await restore_connections();
  spawn_janitor();
  for (const auto& [kind, settings] : env_.settings.flavors)
    if (settings.warm > 0)
      spawn_pool(kind);
  offer_found_members();
  co_await sweep_layers();
  coro::spawn(sweep_images());
  auto leftovers = co_await coro::request(janitor_, coro::infinite, sweep{});
  log_event(log_level::info, "recovered",
            {{"sandboxes", std::to_string(live_.size())},
             {"leftovers", leftovers ? std::to_string(*leftovers) : "unknown"}});
  recovered_.set();
  co_return caf::unit;
}

coro::task<void> worker_state::recover_one(sandbox_record record) {
  auto id = record.info.id;
  bound_lease(record.info, env_.settings); // the bound of now
  record.info.network.mode = std::min(record.info.network.mode, env_.settings.max_network);
  if (record.info.state == sandbox_state::ready && record.info.expires_at > env_.wall_clock()) {
    auto found = co_await coro::blocking<std::shared_ptr<runtime::instance>>(
        env_.kernel_calls,
        [&d = env_.driver, id, paused = record.info.paused]() -> result<std::shared_ptr<runtime::instance>> {
          auto instance = d.attach(id);
          if (!instance)
            return std::move(instance.error());
          auto settled = settle_pause(d, id, *instance, paused);
          if (!settled)
            return std::move(settled.error());
          return std::make_shared<runtime::instance>(std::move(*instance));
        });
    if (found) {
      auto handle = spawn_sandbox(record, std::move(*found));
      set_warm(live_.at(id), record.info.tenant.value.empty());
      auto started = co_await coro::request(handle, coro::infinite, start_sandbox{});
      if (auto entry = live_.find(id); started && entry != live_.end())
        entry->second.ready = true;
      co_return caf::unit;
    }
  }
  env_.metrics.leaks_found(metrics::leak_kind::record);
  const auto& info = record.info;
  const auto why = info.expires_at <= env_.wall_clock() ? end_reason::expired : end_reason::failed;
  co_return co_await clean_up({id, info.tenant, why, env_.wall_clock(), info.parent, info.created_at});
}

void worker_state::spawn_janitor() {
  janitor_ = self_->spawn<coro::actor<janitor_state, janitor_actor>>(&env_, worker_actor{self_});
  self_->monitor(janitor_);
}

} // namespace sandy
