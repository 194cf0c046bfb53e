#include "actors/worker.hpp"

#include "actors/limits.hpp"
#include "actors/sandbox.hpp"
#include "coro/io.hpp"
#include "coro/request.hpp"
#include "coro/timer.hpp"
#include "metrics/log.hpp"
#include "metrics/registry.hpp"
#include "runtime/guest/local_data_plane.hpp"

#include <caf/send.hpp>

#include <algorithm>

namespace sandy {

namespace {

using namespace std::chrono_literals;

/// Questions to a sandbox actor that need the kernel: within what clients of `stats` wait.
constexpr auto stats_timeout = 10s;

} // namespace

worker_state::worker_state(self_pointer self, services* env)
    : self_(self)
    , env_(*env)
    , family_(env->settings.children)
    , room_(env->settings.room, env->settings.max_sandboxes) {
  self_->set_down_handler([this](caf::scheduled_actor*, caf::down_msg& down) { child_down(down); });
}

worker_state::~worker_state() {
  if (janitor_)
    caf::anon_send_exit(janitor_, caf::exit_reason::user_shutdown);
  if (switchboard_)
    caf::anon_send_exit(switchboard_, caf::exit_reason::user_shutdown);
  for (const auto& each : pools_)
    caf::anon_send_exit(each.second.handle, caf::exit_reason::user_shutdown);
  for (const auto& each : live_)
    caf::anon_send_exit(each.second.handle, caf::exit_reason::user_shutdown);
}

worker_actor::behavior_type worker_state::make_behavior() {
  spawn_switchboard();
  coro::spawn(recover());
  coro::spawn(sample_host());
  return {
      [this](create_sandbox request) { return create(std::move(request)); },
      [this](get_sandbox request) { return pass_on<sandbox_info>(std::move(request)); },
      [this](list_sandboxes request) { return list(std::move(request)); },
      [this](terminate_sandbox request) { return terminate(std::move(request)); },
      [this](refresh_sandbox request) {
        if (auto* target = find(request.caller, request.id); target != nullptr && request.ttl_seconds > 0)
          request.ttl_seconds =
              effective_ttl(request.ttl_seconds, !target->parent.value.empty(), env_.settings);
        return pass_on<sandbox_info>(std::move(request));
      },
      [this](open_sandbox request) { return pass_on<sandbox_opened>(std::move(request)); },
      [this](get_stats request) { return stats(std::move(request)); },
      [this](get_logs request) { return pass_on<std::vector<log_line>>(std::move(request)); },
      [this](probe_port request) { return pass_on<bool>(std::move(request)); },
      [this](pause_sandbox request) { return pass_on<sandbox_info>(std::move(request)); },
      [this](resume_sandbox request) { return pass_on<sandbox_info>(std::move(request)); },
      [this](get_health request) { return health(request); },
      [this](get_resources request) { return resources(request); },
      [this](get_timeseries request) { return timeseries(request); },
      [this](list_known) {
        end_orphans();
        coro::spawn(sweep_layers());
        coro::spawn(sweep_images());
        std::vector<sandbox_id> ids;
        ids.reserve(live_.size());
        for (const auto& each : live_)
          ids.push_back(each.first);
        return ids;
      },
      [this](sandbox_ending notice) { return ending(std::move(notice)); },
      [this](list_images request) { return images(std::move(request)); },
      [this](snapshot_sandbox request) { return snapshot(std::move(request)); },
      [this](remove_image request) { return remove_snapshot(std::move(request)); },
      [this](fork_sandbox request) { return fork(std::move(request)); },
      [this](create_warm request) { return make_warm(std::move(request)); },
      [this](const retire_warm& request) { retire(request.id); },
      [this](pool_health numbers) { pool_changed(std::move(numbers)); },
      [this](close_worker request) { return close(request); },
      [this](drain_worker request) { return drain(request); },
      [this](connect_sandboxes request) { return connect(std::move(request)); },
      [this](disconnect_sandboxes request) { return disconnect(std::move(request)); },
      [this](list_connections request) { return connections(std::move(request)); },
      [this](run_agent request) -> caf::result<agent_run_started> {
        if (!accepting_)
          return fail(errc::shutting_down, "The server stops");
        return pass_on<agent_run_started>(std::move(request));
      },
      [this](cancel_agent request) { return pass_on<bool>(std::move(request)); },
      [this](get_agent_run request) { return pass_on<agent_run_info>(std::move(request)); },
      [this](list_agent_runs request) { return pass_on<std::vector<agent_run_info>>(std::move(request)); },
      [this](list_agents request) { return agents(request); },
      [this](run_container request) { return pass_on<container_info>(std::move(request)); },
      [this](list_containers request) { return pass_on<std::vector<container_info>>(std::move(request)); },
      [this](get_container request) { return pass_on<container_info>(std::move(request)); },
      [this](stop_container request) { return pass_on<container_info>(std::move(request)); },
      [this](remove_container request) { return pass_on<container_info>(std::move(request)); },
      [this](get_network request) { return pass_on<network_report>(std::move(request)); },
      [this](sandy::set_network request) { return set_network(std::move(request)); },
  };
}

// -- living
// -----------------------------------------------------------------------------------------------------------

worker_state::child* worker_state::find(const principal& caller, const sandbox_id& id) {
  auto entry = live_.find(id);
  return entry != live_.end() && reaches(caller, entry->second.tenant, id) ? &entry->second : nullptr;
}

bool worker_state::reaches(const principal& caller, const tenant_id& tenant, const sandbox_id& id) const {
  return tenant == caller.tenant && (caller.sandbox.value.empty() || family_.within(id, caller.sandbox));
}

template <class Reply, class Request>
caf::result<Reply> worker_state::pass_on(Request request) {
  auto* target = find(request.caller, request.id);
  if (target == nullptr)
    return no_such_sandbox();
  return self_->delegate(target->handle, std::move(request));
}

caf::result<std::vector<sandbox_info>> worker_state::list(list_sandboxes request) {
  const auto& parent = request.parent;
  if (!parent.value.empty() && find(request.caller, parent) == nullptr)
    co_return no_such_sandbox();
  std::vector<coro::task<sandbox_info>> questions;
  auto question = [](sandbox_actor whom) -> coro::task<sandbox_info> {
    auto info = co_await coro::request(whom, stats_timeout, get_sandbox{});
    co_return std::move(info);
  };
  for (const auto& [id, each] : live_)
    if (each.ready && reaches(request.caller, each.tenant, id) &&
        (parent.value.empty() || each.parent == parent))
      questions.push_back(question(each.handle));
  auto answers = co_await coro::when_all(std::move(questions));
  std::vector<sandbox_info> infos;
  for (auto& answer : *answers)
    if (answer && answer->state == sandbox_state::ready)
      infos.push_back(std::move(*answer));
  std::sort(infos.begin(), infos.end(),
            [](const auto& a, const auto& b) { return a.created_at < b.created_at; });
  co_return std::move(infos);
}

caf::result<std::vector<sandbox_stats>> worker_state::stats(get_stats request) {
  std::vector<coro::task<sandbox_stats>> questions;
  auto question = [](sandbox_actor whom) -> coro::task<sandbox_stats> {
    auto numbers = co_await coro::request(whom, stats_timeout, get_stats{});
    co_return std::move(numbers);
  };
  for (const auto& [id, each] : live_)
    if (each.ready && reaches(request.caller, each.tenant, id) &&
        (request.ids.empty() || std::find(request.ids.begin(), request.ids.end(), id) != request.ids.end()))
      questions.push_back(question(each.handle));
  auto answers = co_await coro::when_all(std::move(questions));
  std::vector<sandbox_stats> numbers;
  for (auto& answer : *answers)
    if (answer)
      numbers.push_back(std::move(*answer));
  co_return std::move(numbers);
}

// -- ending
// -----------------------------------------------------------------------------------------------------------

caf::result<sandbox_ended> worker_state::terminate(terminate_sandbox request) {
  if (auto* living = find(request.caller, request.id)) {
    auto ended = co_await coro::request(living->handle, coro::infinite, end_sandbox{end_reason::terminated});
    if (ended || code_of(ended.error()) != errc::sandbox_ended)
      co_return std::move(ended);
    co_return sandbox_ended{request.id, end_reason::terminated}; // it was gone before it heard us
  }
  auto found = tombstones_.find(request.id);
  if (found == tombstones_.end())
    co_return no_such_sandbox();
  const auto& stone = found->second;
  if (!reaches(request.caller, stone.tenant, stone.id) &&
      !reaches(request.caller, stone.tenant, stone.parent))
    co_return no_such_sandbox();
  co_return sandbox_ended{request.id, stone.reason};
}

caf::result<void> worker_state::ending(sandbox_ending notice) {
  if (auto entry = live_.find(notice.id); entry != live_.end())
    entry->second.ending = notice.reason;
  std::vector<std::shared_ptr<creation>> children; // that wait: they have no actor to be ended yet
  for (const auto& [caller, order] : creating_for_)
    if (order->parent == notice.id)
      children.push_back(order);
  for (const auto& each : children)
    give_up(each, no_such_sandbox());
  co_await leave_connections(notice.id);
  co_await end_children(std::move(notice.id));
  co_return caf::unit;
}

/// Ends what was created by a sandbox that ends; each child does the same first, so the deepest go first.
coro::task<void> worker_state::end_children(sandbox_id id) {
  std::vector<sandbox_id> children;
  for (const auto& each : family_.children(id))
    children.push_back(each);
  co_await end_all(std::move(children), end_reason::parent_ended);
  co_return caf::unit;
}

/// Ends those of them that live, and returns when they are gone.
coro::task<void> worker_state::end_all(std::vector<sandbox_id> ids, end_reason why) {
  std::vector<coro::task<sandbox_ended>> ends;
  auto end = [](sandbox_actor whom, end_reason why) -> coro::task<sandbox_ended> {
    auto ended = co_await coro::request(whom, coro::infinite, end_sandbox{why});
    co_return std::move(ended);
  };
  for (const auto& each : ids)
    if (auto entry = live_.find(each); entry != live_.end())
      ends.push_back(end(entry->second.handle, why));
  co_await coro::when_all(std::move(ends));
  co_return caf::unit;
}

void worker_state::end_orphans() {
  for (const auto& id : family_.orphans())
    if (auto entry = live_.find(id); entry != live_.end() && entry->second.ending == end_reason::none) {
      log_event(log_level::warn, "orphan_ended", {{"sandbox_id", id.value}});
      caf::anon_send(entry->second.handle, end_sandbox{end_reason::parent_ended});
    }
}

void worker_state::child_down(const caf::down_msg& down) {
  if (janitor_ && down.source == janitor_.address()) {
    log_event(log_level::error, "janitor_died", {{"reason", self_->system().render(down.reason)}});
    spawn_janitor();
    return;
  }
  if (pool_down(down) || switchboard_down(down))
    return;
  if (caller_down(down))
    return;
  auto known = by_address_.find(down.source);
  if (known == by_address_.end())
    return;
  auto id = known->second;
  by_address_.erase(known);
  auto entry = live_.find(id);
  auto stone = stone_of(id, entry->second);
  leave_pool(id, entry->second);
  if (!down.reason) { // it ended as it should, and nothing of it is left
    forget(id);
    bury(stone);
    return;
  }
  entry->second.ending = stone.reason = end_reason::failed;
  log_event(log_level::error, "sandbox_actor_died",
            {{"sandbox_id", id.value}, {"reason", self_->system().render(down.reason)}});
  env_.publish({0, env_.wall_clock(), stone.tenant, id, stone.parent, life_event_type::failed, stone.reason});
  coro::spawn(clean_up(std::move(stone)));
}

tombstone worker_state::stone_of(const sandbox_id& id, const child& dead) const {
  return {id, dead.tenant, dead.ending, env_.wall_clock(), dead.parent, dead.created_at};
}

void worker_state::forget(const sandbox_id& id) {
  family_.remove(id);
  if (auto entry = live_.find(id); entry != live_.end()) {
    slots_.erase(entry->second.uid_slot);
    set_warm(entry->second, false);
    live_.erase(entry);
  }
  give_places();
  coro::spawn(collect_layers());
}

void worker_state::bury(const tombstone& stone) {
  std::erase_if(tombstones_, [oldest = env_.wall_clock() - tombstone_life_ms](const auto& each) {
    return each.second.ended_at < oldest;
  });
  tombstones_.emplace(stone.id, stone);
}

coro::task<void> worker_state::clean_up(tombstone stone) {
  auto id = stone.id;
  env_.data.remove(id);
  co_await leave_connections(id);
  co_await end_children(id);
  auto pause = std::chrono::milliseconds{200};
  for (;;) {
    auto destroyed =
        co_await coro::blocking<void>(env_.kernel_calls, [&d = env_.driver, id] { return d.destroy(id); });
    if (destroyed)
      break;
    co_await coro::sleep_for(pause);
    pause = std::min<std::chrono::milliseconds>(2 * pause, 60s);
  }
  stone.ended_at = env_.wall_clock();
  auto buried =
      co_await coro::blocking<void>(env_.store_calls, [&s = env_.store, stone] { return s.bury(stone); });
  if (!buried)
    log_event(log_level::error, "record_not_removed",
              {{"sandbox_id", id.value}, {"error", text_of(buried.error())}});
  env_.publish({0, stone.ended_at, stone.tenant, id, stone.parent, life_event_type::ended, stone.reason});
  forget(id);
  bury(stone);
  co_return caf::unit;
}

void worker_state::accept_no_more() {
  accepting_ = false;
  while (!for_place_.empty())
    give_up(*for_place_.begin(), refused(refusal::draining));
}

caf::result<void> worker_state::close(close_worker) {
  accept_no_more();
  co_await end_agents();
  co_return caf::unit;
}

caf::result<void> worker_state::drain(drain_worker request) {
  accept_no_more();
  while (creating_ > 0)
    co_await coro::sleep_for(20ms);
  co_await end_copies();
  if (request.end_sandboxes) {
    std::vector<sandbox_id> all;
    for (const auto& each : live_)
      all.push_back(each.first);
    co_await end_all(std::move(all), end_reason::shutdown);
  }
  co_return caf::unit;
}

} // namespace sandy
