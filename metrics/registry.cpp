#include "metrics/registry.hpp"

#include <prometheus/family.h>
#include <prometheus/text_serializer.h>

#include <iterator>

namespace sandy::metrics {

namespace {

using prometheus::BuildCounter;
using prometheus::BuildGauge;
using prometheus::BuildHistogram;

/// Seconds. A creation takes some tens of milliseconds; the queue may add many.
const prometheus::Histogram::BucketBoundaries create_bounds{
    0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30};

/// Seconds. From `true` to a build that takes hours.
const prometheus::Histogram::BucketBoundaries exec_bounds{
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200};

/// Seconds. From a refused key to an afternoon's work.
const prometheus::Histogram::BucketBoundaries agent_bounds{0.5, 1,   2.5, 5,    10,   30,  60,
                                                           120, 300, 600, 1200, 3600, 7200};

/// One counter per label value, in the order of the enum. The array's size makes a forgotten value an error.
template <std::size_t Count>
void add_all(std::array<prometheus::Counter*, Count>& into, prometheus::Family<prometheus::Counter>& family,
             const char* label, const char* const (&values)[Count]) {
  for (std::size_t i = 0; i < Count; ++i)
    into[i] = &family.Add({{label, values[i]}});
}

template <class Enum>
std::size_t index(Enum value) noexcept {
  return static_cast<std::size_t>(value);
}

} // namespace

registry::registry(std::string_view version, const std::vector<std::string>& flavors) {
  BuildGauge()
      .Name("sandy_build_info")
      .Help("Always 1; the labels say what runs.")
      .Register(families_)
      .Add({{"version", std::string(version)}})
      .Set(1);

  auto& living = BuildGauge()
                     .Name("sandy_sandboxes")
                     .Help("Sandboxes that exist now, by flavor and state.")
                     .Register(families_);
  auto& created = BuildCounter()
                      .Name("sandy_sandboxes_created_total")
                      .Help("Sandboxes that became ready, by flavor.")
                      .Register(families_);
  auto& warm = BuildGauge()
                   .Name("sandy_pool_available")
                   .Help("Warm sandboxes that wait for an owner, by flavor.")
                   .Register(families_);
  auto& warm_target = BuildGauge()
                          .Name("sandy_pool_target")
                          .Help("Warm sandboxes that the pool wants to have, by flavor.")
                          .Register(families_);
  auto& claims =
      BuildCounter()
          .Name("sandy_pool_claims_total")
          .Help("Creations that asked a warm pool, by flavor and whether it had a sandbox for them.")
          .Register(families_);
  auto& refill = BuildHistogram()
                     .Name("sandy_pool_refill_duration_seconds")
                     .Help("Time it took to make one warm sandbox, by flavor.")
                     .Register(families_);
  auto names = flavors;
  names.push_back("other");
  for (const auto& name : names) {
    auto& metrics = flavors_[name];
    for (auto state : {sandbox_state::creating, sandbox_state::ready, sandbox_state::draining})
      metrics.living[index(state)] = &living.Add({{"flavor", name}, {"state", to_string(state)}});
    metrics.created = &created.Add({{"flavor", name}});
    metrics.warm = &warm.Add({{"flavor", name}});
    metrics.warm_target = &warm_target.Add({{"flavor", name}});
    metrics.claims = {&claims.Add({{"flavor", name}, {"outcome", "miss"}}),
                      &claims.Add({{"flavor", name}, {"outcome", "hit"}})};
    metrics.refill = &refill.Add({{"flavor", name}}, create_bounds);
  }

  auto& ended = BuildCounter()
                    .Name("sandy_sandboxes_ended_total")
                    .Help("Sandboxes that are gone, by the reason of their end.")
                    .Register(families_);
  for (std::size_t i = 1; i < ended_.size(); ++i) // 0 is end_reason::none, which no sandbox that is gone has
    ended_[i] = &ended.Add({{"reason", to_string(static_cast<end_reason>(i))}});

  auto& phases = BuildHistogram()
                     .Name("sandy_sandbox_create_duration_seconds")
                     .Help("Time a creation spent, by phase; total is what its caller waited.")
                     .Register(families_);
  for (auto [phase, name] :
       {std::pair{create_phase::queue, "queue"}, std::pair{create_phase::driver, "driver"},
        std::pair{create_phase::store, "store"}, std::pair{create_phase::total, "total"}})
    create_phases_[index(phase)] = &phases.Add({{"phase", name}}, create_bounds);

  auto& refused = BuildCounter()
                      .Name("sandy_admission_refusals_total")
                      .Help("Creations refused for want of room, at once or after they waited, by reason.")
                      .Register(families_);
  for (std::size_t i = 0; i < refused_.size(); ++i)
    refused_[i] = &refused.Add({{"reason", to_string(static_cast<refusal>(i))}});
  add_all(preempted_,
          BuildCounter()
              .Name("sandy_preemptions_total")
              .Help("Sandboxes ended to make room, by what needed it.")
              .Register(families_),
          "cause", {"creation", "memory"});
  auto gauge = [this](const char* name, const char* help) {
    return &BuildGauge().Name(name).Help(help).Register(families_).Add({});
  };
  room_ = {gauge("sandy_promised_memory_bytes", "Sum of the memory limits of all sandboxes."),
           gauge("sandy_promised_cpu_cores", "Sum of the processor limits of all sandboxes."),
           gauge("sandy_promised_pids", "Sum of the process limits of all sandboxes."),
           gauge("sandy_promised_disk_bytes", "Sum of the disk limits of all sandboxes."),
           gauge("sandy_creations_waiting", "Creations that wait for room or for their turn.")};
  add_all(over_limit_,
          BuildCounter()
              .Name("sandy_limiter_refusals_total")
              .Help("Requests refused because a budget of their tenant is spent, by kind of budget.")
              .Register(families_),
          "kind", {"requests", "creations", "streams"});
  add_all(execs_,
          BuildCounter()
              .Name("sandy_execs_total")
              .Help("Commands asked for, by how they ended.")
              .Register(families_),
          "outcome", {"exited", "signaled", "timeout", "failed", "lost", "disconnected"});
  exec_seconds_ = &BuildHistogram()
                       .Name("sandy_exec_duration_seconds")
                       .Help("Time commands ran, from start to exit.")
                       .Register(families_)
                       .Add({}, exec_bounds);
  agents_running_ =
      &BuildGauge().Name("sandy_agents_running").Help("Agents at work now.").Register(families_).Add({});
  auto& runs = BuildCounter()
                   .Name("sandy_agent_runs_total")
                   .Help("Runs of agents that ended, by how.")
                   .Register(families_);
  for (auto i = index(run_status::succeeded); i < agent_runs_.size(); ++i)
    agent_runs_[i] = &runs.Add({{"outcome", to_string(static_cast<run_status>(i))}});
  agent_seconds_ = &BuildHistogram()
                        .Name("sandy_agent_run_duration_seconds")
                        .Help("Time agents worked, from the start of a run to its end.")
                        .Register(families_)
                        .Add({}, agent_bounds);
  add_all(guest_bytes_,
          BuildCounter()
              .Name("sandy_guest_bytes_total")
              .Help("Bytes exchanged with guests: in goes to guests, out comes from them.")
              .Register(families_),
          "direction", {"in", "out"});
  add_all(leaks_,
          BuildCounter()
              .Name("sandy_janitor_leaks_total")
              .Help("Leftovers the janitor found, by kind.")
              .Register(families_),
          "kind", {"sandbox", "record"});
  auto& events = BuildCounter()
                     .Name("sandy_events_total")
                     .Help("Life-cycle events recorded, by type.")
                     .Register(families_);
  for (std::size_t i = 0; i < events_.size(); ++i)
    events_[i] = &events.Add({{"type", to_string(static_cast<life_event_type>(i))}});
  add_all(webhooks_,
          BuildCounter()
              .Name("sandy_webhook_deliveries_total")
              .Help("Posts of events to webhooks, by what became of them.")
              .Register(families_),
          "outcome", {"delivered", "retried", "failed", "forbidden", "gone", "dropped"});
}

std::string registry::expose() const {
  auto all = families_.Collect();
  for (const prometheus::Collectable* source : {static_cast<const prometheus::Collectable*>(&http_),
                                                static_cast<const prometheus::Collectable*>(&process_)}) {
    auto more = source->Collect();
    all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  }
  return prometheus::TextSerializer().Serialize(all);
}

const registry::flavor_metrics& registry::of(std::string_view flavor) const {
  auto found = flavors_.find(flavor);
  return found != flavors_.end() ? found->second : flavors_.find(std::string_view("other"))->second;
}

void registry::sandbox_entered(std::string_view flavor, sandbox_state state) {
  if (state != sandbox_state::gone)
    of(flavor).living[index(state)]->Increment();
}

void registry::sandbox_left(std::string_view flavor, sandbox_state state) {
  if (state != sandbox_state::gone)
    of(flavor).living[index(state)]->Decrement();
}

void registry::sandbox_created(std::string_view flavor) { of(flavor).created->Increment(); }

void registry::sandbox_ended(end_reason reason) {
  if (reason != end_reason::none)
    ended_[index(reason)]->Increment();
}

void registry::create_timed(create_phase phase, double seconds) {
  create_phases_[index(phase)]->Observe(seconds);
}

void registry::create_refused(refusal reason) { refused_[index(reason)]->Increment(); }

void registry::preempted(preemption cause) { preempted_[index(cause)]->Increment(); }

void registry::room_shown(std::uint64_t memory_bytes, double cores, std::uint64_t pids,
                          std::uint64_t disk_bytes, std::size_t waiting) {
  room_[0]->Set(static_cast<double>(memory_bytes));
  room_[1]->Set(cores);
  room_[2]->Set(static_cast<double>(pids));
  room_[3]->Set(static_cast<double>(disk_bytes));
  room_[4]->Set(static_cast<double>(waiting));
}

void registry::limit_refused(budget_kind spent) {
  if (spent != budget_kind::none)
    over_limit_[index(spent) - 1]->Increment();
}

void registry::pool_asked(std::string_view flavor, bool hit) { of(flavor).claims[hit ? 1 : 0]->Increment(); }

void registry::pool_shown(std::string_view flavor, std::size_t available, std::size_t target) {
  of(flavor).warm->Set(static_cast<double>(available));
  of(flavor).warm_target->Set(static_cast<double>(target));
}

void registry::pool_refilled(std::string_view flavor, double seconds) { of(flavor).refill->Observe(seconds); }

void registry::exec_finished(exec_outcome outcome, double seconds) {
  execs_[index(outcome)]->Increment();
  if (outcome == exec_outcome::exited || outcome == exec_outcome::signaled ||
      outcome == exec_outcome::timeout)
    exec_seconds_->Observe(seconds);
}

void registry::agent_started() { agents_running_->Increment(); }

void registry::agent_finished(run_status outcome, double seconds) {
  agents_running_->Decrement();
  agent_runs_[index(outcome)]->Increment();
  agent_seconds_->Observe(seconds);
}

void registry::guest_bytes(direction where, std::uint64_t count) {
  guest_bytes_[index(where)]->Increment(static_cast<double>(count));
}

void registry::leaks_found(leak_kind kind, std::uint64_t count) {
  leaks_[index(kind)]->Increment(static_cast<double>(count));
}

void registry::event_recorded(life_event_type type) { events_[index(type)]->Increment(); }

void registry::webhook_finished(webhook_outcome outcome, std::uint64_t count) {
  webhooks_[index(outcome)]->Increment(static_cast<double>(count));
}

} // namespace sandy::metrics
