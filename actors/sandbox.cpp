#include "actors/sandbox.hpp"

#include "coro/io.hpp"
#include "metrics/log.hpp"
#include "metrics/registry.hpp"

#include <caf/send.hpp>

#include <algorithm>

namespace sandy {

namespace {

/// Life-cycle lines kept per sandbox.
constexpr std::size_t log_lines = 200;

} // namespace

sandbox_state_machine::sandbox_state_machine(self_pointer self, services* env, sandbox_record record,
                                             std::shared_ptr<runtime::instance> found, worker_actor worker)
    : self_(self)
    , env_(*env)
    , worker_(caf::actor_cast<caf::weak_actor_ptr>(worker))
    , record_(std::move(record))
    , instance_(std::move(found))
    , ended_(std::make_shared<guest::end_state>()) {
  ended_->uses = std::make_shared<guest::activity>(env_.monotonic_clock);
  env_.metrics.sandbox_entered(record_.info.flavor, record_.info.state = life_.state());
  ended_->on_violation = [weak = caf::actor_cast<caf::weak_actor_ptr>(caf::strong_actor_ptr{self->ctrl()})] {
    if (auto us = caf::actor_cast<sandbox_actor>(caf::actor_cast<caf::strong_actor_ptr>(weak)))
      caf::anon_send(us, end_sandbox{end_reason::failed});
  };
}

sandbox_state_machine::~sandbox_state_machine() {
  // Of a sandbox that is gone, the run says so to its reader. Else we are, or the server is: nobody reads on.
  if (run_ && life_.state() != sandbox_state::gone)
    caf::anon_send_exit(run_, caf::exit_reason::user_shutdown);
  let_go_of_containers();
  env_.entrances->close(record_.info.id); // of one that crashed
  env_.metrics.sandbox_left(record_.info.flavor, record_.info.state);
}

void sandbox_state_machine::show_state() {
  env_.metrics.sandbox_left(record_.info.flavor, record_.info.state);
  record_.info.state = life_.state();
  env_.metrics.sandbox_entered(record_.info.flavor, record_.info.state);
}

sandbox_actor::behavior_type sandbox_state_machine::make_behavior() {
  return {
      [this](start_sandbox message) { return start(message); },
      [this](claim_sandbox message) { return claim(std::move(message)); },
      [this](end_sandbox message) { return end(message); },
      [this](const get_sandbox&) { return record_.info; },
      [this](refresh_sandbox message) { return refresh(std::move(message)); },
      [this](open_sandbox message) { return open(std::move(message)); },
      [this](get_stats message) { return stats(std::move(message)); },
      [this](const get_logs& message) { return logs(message); },
      [this](probe_port message) { return probe(std::move(message)); },
      [this](pause_sandbox message) { return pause(std::move(message)); },
      [this](resume_sandbox message) { return resume(std::move(message)); },
      [this](keep_layer message) { return keep(std::move(message)); },
      [this](run_agent message) { return run(std::move(message)); },
      [this](cancel_agent message) { return cancel(std::move(message)); },
      [this](get_agent_run message) { return describe_run(std::move(message)); },
      [this](get_network message) { return show_network(std::move(message)); },
      [this](sandy::set_network message) { return set_network(std::move(message)); },
      [this](bound_network message) { return bound(std::move(message)); },
      [this](list_agent_runs message) { return list_runs(std::move(message)); },
      [this](run_container message) { return run_in(std::move(message)); },
      [this](list_containers message) { return list_in(std::move(message)); },
      [this](get_container message) { return get_in(std::move(message)); },
      [this](stop_container message) { return stop_in(std::move(message)); },
      [this](remove_container message) { return remove_in(std::move(message)); },
  };
}

caf::result<sandbox_stats> sandbox_state_machine::stats(get_stats) {
  auto usage = co_await coro::blocking<runtime::driver::usage>(
      env_.kernel_calls, [&d = env_.driver, id = record_.info.id] { return d.stats(id); });
  if (!usage)
    co_return std::move(usage.error());
  auto now = self_->clock().now();
  sandbox_stats stats;
  stats.id = record_.info.id;
  if (auto passed = std::chrono::duration<double, std::micro>(now - last_cpu_at_).count();
      last_cpu_at_ != coro::time_point{} && passed > 0)
    stats.cpu_cores_used = static_cast<double>(usage->cpu_usec - last_cpu_usec_) / passed;
  last_cpu_at_ = now;
  last_cpu_usec_ = usage->cpu_usec;
  const auto& limits = record_.info.limits;
  stats.cpu_millis_limit = limits.cpu_millis;
  stats.memory_bytes = usage->memory_bytes;
  stats.memory_limit_bytes = limits.memory_bytes;
  stats.disk_bytes = usage->disk_bytes;
  stats.disk_limit_bytes = limits.disk_bytes;
  stats.pids = usage->pids;
  stats.pids_limit = limits.pids;
  stats.oom_kills = usage->oom_kills;
  stats.updated_at = env_.wall_clock();
  co_return stats;
}

caf::result<bool> sandbox_state_machine::probe(probe_port message) {
  auto usable = co_await wake();
  if (!usable)
    co_return std::move(usable.error());
  guest::activity::use use{ended_->uses};
  auto answered = co_await coro::blocking<bool>(
      env_.kernel_calls, [&d = env_.driver, where = instance_, port = message.port]() -> result<bool> {
        auto connection = d.connect(*where, port);
        if (!connection)
          return false;
        return true;
      });
  co_return std::move(answered);
}

std::vector<log_line> sandbox_state_machine::logs(const get_logs& message) const {
  auto count = message.tail == 0 ? log_.size() : std::min<std::size_t>(message.tail, log_.size());
  return {log_.end() - static_cast<std::ptrdiff_t>(count), log_.end()};
}

void sandbox_state_machine::log(std::string line) {
  log_event(log_level::info, "sandbox",
            {{"sandbox_id", record_.info.id.value}, {"tenant", record_.info.tenant.value}, {"what", line}});
  if (log_.size() >= log_lines)
    log_.pop_front();
  log_.push_back({env_.wall_clock(), "sandbox", std::move(line)});
}

/// A sandbox that is nobody's yet has no life that anybody should hear of.
void sandbox_state_machine::publish(life_event_type type) {
  const auto& info = record_.info;
  if (!info.tenant.value.empty() && !claiming_)
    env_.publish({0, env_.wall_clock(), info.tenant, info.id, info.parent, type, life_.reason()});
}

} // namespace sandy
