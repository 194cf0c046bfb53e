#include "actors/sandbox.hpp"

#include "coro/io.hpp"
#include "coro/pool.hpp"
#include "coro/timer.hpp"
#include "metrics/log.hpp"
#include "metrics/registry.hpp"
#include "runtime/guest/local_data_plane.hpp"
#include "runtime/init_watch.hpp"

#include <caf/send.hpp>

#include <fcntl.h>

#include <algorithm>

namespace sandy {

namespace {

using namespace std::chrono_literals;

/// Between two tries to destroy a sandbox that the kernel would not let go of; doubled up to a minute.
constexpr auto first_destroy_pause = 200ms;
constexpr auto last_destroy_pause = 60s;
/// Until a sandbox that ends goes ahead of children that do not.
constexpr auto children_deadline = 20s;
/// Life-cycle lines kept per sandbox.
constexpr std::size_t log_lines = 200;

caf::error not_found() { return fail(errc::sandbox_not_found, "Sandbox not found"); }

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
  };
}

// -- starting
// ---------------------------------------------------------------------------------------------------------

caf::result<sandbox_info> sandbox_state_machine::start(start_sandbox) {
  if (instance_) { // it ran before we did
    auto found = std::move(*instance_);
    take_over(std::move(found));
    auto opened = co_await open_inside();
    if (!opened)
      log("cannot reach the API from inside: " + text_of(opened.error()));
    created_.set();
    log("re-attached after a restart of the server");
    co_return record_.info;
  }
  if (life_.state() != sandbox_state::creating) { // ended before its turn came
    created_.set();
    co_return fail(errc::sandbox_ended, sentence(life_.reason()));
  }
  auto made = co_await make();
  created_.set();
  if (made)
    co_return record_.info;
  log("could not be created: " + text_of(made.error()));
  co_await finish(end_reason::failed);
  co_return std::move(made.error());
}

coro::task<void> sandbox_state_machine::make() {
  auto begun = std::chrono::steady_clock::now();
  auto stored =
      co_await coro::blocking<void>(env_.store_calls, [&s = env_.store, r = record_] { return s.insert(r); });
  if (!stored)
    co_return std::move(stored.error());
  auto in_store = std::chrono::steady_clock::now();

  runtime::sandbox_spec spec{record_.info.id, record_.info.image, record_.info.limits, record_.uid_slot};
  // The instance owns a pidfd and cannot be copied into a function; the shared pointer can.
  auto made = co_await coro::blocking<std::shared_ptr<runtime::instance>>(
      env_.kernel_calls, [&d = env_.driver, spec]() -> result<std::shared_ptr<runtime::instance>> {
        auto instance = d.create(spec);
        if (!instance)
          return std::move(instance.error());
        return std::make_shared<runtime::instance>(std::move(*instance));
      });
  if (!made)
    co_return std::move(made.error());
  auto in_kernel = std::chrono::steady_clock::now();
  if (life_.state() != sandbox_state::creating) // ended meanwhile: `finish` waits for us, then takes it apart
    co_return fail(errc::sandbox_ended, sentence(life_.reason()));

  take_over(std::move(**made));
  auto opened = co_await open_inside();
  if (!opened)
    co_return std::move(opened.error());
  const auto warm = record_.info.tenant.value.empty();
  log(warm ? "warm" : "ready");
  if (!warm) {
    publish(life_event_type::created);
    env_.metrics.sandbox_created(record_.info.flavor);
  }
  auto seconds = [](auto time) { return std::chrono::duration<double>(time).count(); };
  env_.metrics.create_timed(metrics::create_phase::store, seconds(in_store - begun));
  env_.metrics.create_timed(metrics::create_phase::driver, seconds(in_kernel - in_store));
  co_return co_await persist();
}

void sandbox_state_machine::take_over(runtime::instance made) {
  life_.enter(sandbox_state::ready);
  show_state();
  instance_ = std::make_shared<runtime::instance>(std::move(made));
  open_data();
  arm_lease();
  coro::spawn(watch_init());
  if (env_.settings.guest_lease.count() > 0)
    coro::spawn(renew_guest());
}

/// A warm sandbox becomes somebody's. From the first line on it is theirs: nobody else can claim it.
caf::result<sandbox_info> sandbox_state_machine::claim(claim_sandbox message) {
  if (life_.state() != sandbox_state::ready)
    co_return fail(errc::sandbox_ended, sentence(life_.reason()));
  auto& info = record_.info;
  if (!info.tenant.value.empty())
    co_return fail(errc::conflict, "The sandbox is somebody's already");
  auto wanted = std::move(message.wanted);
  wanted.id = info.id;
  wanted.state = info.state;
  auto same_limits = wanted.limits == info.limits;
  info = std::move(wanted);
  record_.env = std::move(message.env);
  arm_lease();
  // What is handed out has just answered, and is held to its owner's limits.
  auto proven = co_await coro::blocking<void>(env_.kernel_calls,
                                              [&d = env_.driver, where = instance_, id = info.id,
                                               limits = info.limits, same_limits]() -> result<void> {
                                                auto alive = d.verify(id, *where);
                                                if (!alive || same_limits)
                                                  return alive;
                                                return d.set_limits(id, limits);
                                              });
  if (!proven)
    co_return std::move(proven.error());
  auto stored = co_await coro::blocking<void>(env_.store_calls,
                                              [&s = env_.store, r = record_] { return s.replace(r); });
  if (!stored)
    co_return std::move(stored.error());
  if (life_.state() != sandbox_state::ready)
    co_return fail(errc::sandbox_ended, sentence(life_.reason()));
  open_data();
  if (auto served = serve_inside(); !served)
    co_return std::move(served.error());
  log("ready");
  publish(life_event_type::created);
  env_.metrics.sandbox_created(info.flavor);
  co_return info;
}

/// Lets its processes reach the API. Fails when the sandbox ends meanwhile, too.
coro::task<void> sandbox_state_machine::open_inside() {
  if (!env_.serve_inside)
    co_return caf::unit;
  auto listener = co_await coro::blocking<runtime::unique_fd>(
      env_.kernel_calls, [&d = env_.driver, where = instance_] { return d.listen(*where, inside_port); });
  if (!listener)
    co_return std::move(listener.error());
  if (life_.state() != sandbox_state::ready)
    co_return fail(errc::sandbox_ended, sentence(life_.reason()));
  listener_ = std::move(*listener);
  if (record_.info.tenant.value.empty()) // warm: nothing runs in it before it has an owner
    co_return caf::unit;
  auto served = serve_inside();
  co_return std::move(served);
}

/// Serves the API on the socket inside, for the owner of now.
result<void> sandbox_state_machine::serve_inside() {
  if (!listener_)
    return caf::unit;
  runtime::unique_fd copy{::fcntl(listener_.get(), F_DUPFD_CLOEXEC, 0)};
  inside_ =
      copy ? env_.serve_inside(std::move(copy), principal{record_.info.tenant, record_.info.id}) : nullptr;
  if (!inside_)
    return fail(errc::internal, "The API cannot be served inside the sandbox");
  return caf::unit;
}

void sandbox_state_machine::open_data() {
  env_.data.add(
      record_.info.id,
      std::make_shared<guest::guest_io>(instance_->guest_socket, variables(), record_.info.workdir, ended_),
      ended_->uses);
}

/// What its processes find in their environment: what its creator said counts.
environment sandbox_state_machine::variables() const {
  auto all = env_.identity(record_.info);
  std::erase_if(all, [this](const auto& ours) {
    return std::any_of(record_.env.begin(), record_.env.end(),
                       [&](const auto& given) { return given.first == ours.first; });
  });
  all.insert(all.end(), record_.env.begin(), record_.env.end());
  return all;
}

coro::task<void> sandbox_state_machine::persist() {
  auto written = co_await coro::blocking<void>(
      env_.store_calls,
      [&s = env_.store, id = record_.info.id, state = record_.info.state, at = record_.info.expires_at,
       ttl = record_.info.ttl_seconds] { return s.update(id, state, at, ttl); });
  co_return std::move(written);
}

// -- living
// -----------------------------------------------------------------------------------------------------------

caf::result<sandbox_info> sandbox_state_machine::refresh(refresh_sandbox message) {
  if (life_.state() != sandbox_state::ready)
    co_return not_found(); // the lease ran out first: one winner
  auto before = record_.info;
  if (message.ttl_seconds > 0)
    record_.info.ttl_seconds = message.ttl_seconds;
  record_.info.expires_at = env_.wall_clock() + 1000ll * record_.info.ttl_seconds;
  arm_lease();
  auto written = co_await persist();
  if (life_.state() != sandbox_state::ready)
    co_return not_found();
  if (!written) { // what is not stored does not hold after a restart: do not promise it
    record_.info = before;
    arm_lease();
    co_return std::move(written.error());
  }
  publish(life_event_type::renewed);
  log("renewed for " + std::to_string(record_.info.ttl_seconds) + " s");
  co_return record_.info;
}

caf::result<sandbox_opened> sandbox_state_machine::open(open_sandbox) {
  switch (life_.state()) {
  case sandbox_state::creating:
    return fail(errc::sandbox_failed, "The sandbox is still being created");
  case sandbox_state::ready:
    ended_->uses->touch();
    return sandbox_opened{record_.info.id};
  case sandbox_state::draining:
  case sandbox_state::gone:
    break;
  }
  return not_found();
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
  if (life_.state() != sandbox_state::ready)
    co_return not_found();
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
  if (!info.tenant.value.empty())
    env_.publish({0, env_.wall_clock(), info.tenant, info.id, info.parent, type, life_.reason()});
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

coro::task<void> sandbox_state_machine::watch_init() {
  auto ended = co_await coro::io<void>(env_.threads.here(), runtime::init_ended(instance_));
  if (ended && life_.state() == sandbox_state::ready)
    co_await finish(end_reason::failed);
  co_return caf::unit;
}

coro::task<void> sandbox_state_machine::renew_guest() {
  while (life_.state() == sandbox_state::ready) {
    auto renewed = co_await coro::io<void>(
        env_.threads.here(), guest::renew_lease(instance_->guest_socket, env_.settings.guest_lease));
    if (!renewed)
      log("its first process does not answer: " + text_of(renewed.error()));
    co_await coro::sleep_for(env_.settings.guest_lease / 3);
  }
  co_return caf::unit;
}

// -- ending
// -----------------------------------------------------------------------------------------------------------

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
  inside_.reset(); // first: nothing is created from inside any more
  show_state();
  publish(reason == end_reason::failed ? life_event_type::failed : life_event_type::ending);
  ended_->reason = reason;
  env_.data.remove(record_.info.id);
  co_await created_.wait();
  // Children first; one that hangs is the worker's to end, not a reason to live.
  if (auto worker = caf::actor_cast<worker_actor>(caf::actor_cast<caf::strong_actor_ptr>(worker_)))
    co_await coro::request(worker, children_deadline, sandbox_ending{record_.info.id, reason});

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
