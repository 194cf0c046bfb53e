#include "actors/sandbox.hpp"

#include "coro/io.hpp"
#include "coro/pool.hpp"
#include "coro/timer.hpp"
#include "metrics/registry.hpp"
#include "runtime/guest/local_data_plane.hpp"
#include "runtime/guest/trusted_authority.hpp"
#include "runtime/init_watch.hpp"

#include <fcntl.h>

#include <algorithm>

namespace sandy {

// How a sandbox comes to life: made, found after a restart, or handed from a warm pool to its owner.

namespace {

using namespace std::chrono_literals;

/// Between two looks whether the image is at hand.
constexpr auto image_pause = 200ms;
/// Who asked for the sandbox is less patient; a warm pool asks again.
constexpr auto image_patience = 15min;
constexpr std::uint32_t image_retry_seconds = 30;

} // namespace

caf::result<sandbox_info> sandbox_state_machine::start(start_sandbox) {
  if (instance_) { // it ran before we did
    auto found = std::move(*instance_);
    take_over(std::move(found));
    auto agents = co_await coro::blocking<std::vector<std::string>>(
        env_.kernel_calls, [&env = env_, where = instance_]() -> result<std::vector<std::string>> {
          return agents_in(env, *where);
        });
    if (agents)
      record_.info.agents = std::move(*agents);
    auto opened = co_await open_inside();
    if (!opened)
      log("cannot reach the API from inside: " + text_of(opened.error()));
    auto reaches = co_await open_network();
    if (!reaches)
      log("cannot reach the network: " + text_of(reaches.error()));
    created_.set();
    coro::spawn(end_lost_runs());
    coro::spawn(find_containers());
    log("re-attached after a restart of the server");
    co_return record_.info;
  }
  containers_found_.set();                        // it has none yet
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
  open_entrance(); // closed yet, but known
  auto stored =
      co_await coro::blocking<void>(env_.store_calls, [&s = env_.store, r = record_] { return s.insert(r); });
  if (!stored)
    co_return std::move(stored.error());
  auto in_store = std::chrono::steady_clock::now();

  runtime::sandbox_spec spec{record_.info.id,           record_.info.image, record_.info.limits,
                             record_.uid_slot,          record_.layer,      record_.info.runtime,
                             record_.info.docker_socket};
  struct creation {
    runtime::instance instance;
    std::vector<std::string> agents;
  };
  // The instance owns a pidfd and cannot be copied into a function; the shared pointer can.
  auto create = [&env = env_, spec]() -> result<std::shared_ptr<creation>> {
    auto ready = env.driver.prepare_image(spec);
    if (!ready)
      return std::move(ready.error());
    if (!*ready)
      return std::shared_ptr<creation>{};
    auto instance = env.driver.create(spec);
    if (!instance)
      return std::move(instance.error());
    auto agents = agents_in(env, *instance);
    return std::make_shared<creation>(creation{std::move(*instance), std::move(agents)});
  };
  const auto patient_until = self_->clock().now() + image_patience;
  auto made = co_await coro::blocking<std::shared_ptr<creation>>(env_.kernel_calls, create);
  while (made && !*made && life_.state() == sandbox_state::creating) { // no thread waits for an image
    if (self_->clock().now() > patient_until)
      co_return fail_for_now(errc::capacity_exhausted, "The image is not at hand yet", image_retry_seconds);
    co_await coro::sleep_for(image_pause);
    made = co_await coro::blocking<std::shared_ptr<creation>>(env_.kernel_calls, create);
  }
  if (!made)
    co_return std::move(made.error());
  auto in_kernel = std::chrono::steady_clock::now();
  if (life_.state() != sandbox_state::creating) // ended meanwhile: `finish` waits for us, then takes it apart
    co_return fail(errc::sandbox_ended, sentence(life_.reason()));

  record_.info.agents = std::move((*made)->agents);
  take_over(std::move((*made)->instance));
  auto opened = co_await open_inside();
  if (!opened)
    co_return std::move(opened.error());
  auto reaches = co_await open_network();
  if (!reaches)
    co_return std::move(reaches.error());
  auto trusted = co_await prepare_secrets();
  if (!trusted)
    co_return std::move(trusted.error());
  auto workload = co_await plan_workload();
  if (!workload)
    co_return std::move(workload.error());
  const auto warm = record_.info.tenant.value.empty();
  log(warm ? "warm" : "ready");
  if (!warm) {
    publish(life_event_type::created);
    env_.metrics.sandbox_created(record_.info.flavor);
  }
  auto seconds = [](auto time) { return std::chrono::duration<double>(time).count(); };
  env_.metrics.create_timed(metrics::create_phase::store, seconds(in_store - begun));
  env_.metrics.create_timed(metrics::create_phase::driver, seconds(in_kernel - in_store));
  auto kept = co_await persist();
  if (kept && *workload) // nobody waits for it
    coro::spawn(begin_workload(std::move(**workload)));
  co_return std::move(kept);
}

void sandbox_state_machine::take_over(runtime::instance made) {
  life_.enter(sandbox_state::ready);
  show_state();
  instance_ = std::make_shared<runtime::instance>(std::move(made));
  settle_workdir();
  open_data();
  arm_lease();
  arm_idle();
  coro::spawn(watch_init());
  if (env_.settings.guest_lease.count() > 0)
    coro::spawn(keep_guest());
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
  wanted.agents = std::move(info.agents);
  auto same_limits = wanted.limits == info.limits;
  claiming_ = true;
  info = std::move(wanted);
  settle_workdir();
  record_.env = std::move(message.env);
  record_.network_bounds = std::move(message.network_bounds);
  record_.secrets = std::move(message.secrets);
  ended_->uses->touch();
  arm_lease();
  arm_idle();
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
  auto trusted = co_await prepare_secrets();
  if (!trusted)
    co_return std::move(trusted.error());
  if (life_.state() != sandbox_state::ready)
    co_return fail(errc::sandbox_ended, sentence(life_.reason()));
  let_policy_hold();
  claiming_ = false;
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

/// Where commands start that say nothing: where its creator said, else where its image says.
void sandbox_state_machine::settle_workdir() {
  auto& workdir = record_.info.workdir;
  if (workdir.empty())
    workdir = instance_->workdir.empty() ? "/workspace" : instance_->workdir;
}

void sandbox_state_machine::open_data() {
  env_.data.add(
      record_.info.id,
      std::make_shared<guest::guest_io>(instance_->guest_socket, variables(), record_.info.workdir, ended_),
      ended_->uses);
  open_entrance();
}

/// What its processes find in their environment: what its image says, what we say, and what its creator said,
/// who has the last word.
environment sandbox_state_machine::variables() const {
  auto all = instance_->variables;
  for (const auto& stronger : {env_.identity(record_.info), secret_variables(), record_.env}) {
    std::erase_if(all, [&](const auto& before) {
      return std::any_of(stronger.begin(), stronger.end(),
                         [&](const auto& given) { return given.first == before.first; });
    });
    all.insert(all.end(), stronger.begin(), stronger.end());
  }
  return all;
}

/// What stands for its secrets, and what has its programs trust whoever puts them in.
environment sandbox_state_machine::secret_variables() const {
  if (record_.secrets.all.empty())
    return {};
  auto all = guest::trusting_variables();
  for (const auto& [given, placeholder] : record_.secrets.all)
    all.emplace_back(given.name, placeholder);
  return all;
}

coro::task<void> sandbox_state_machine::prepare_secrets() {
  if (record_.secrets.all.empty() || !env_.trust_authority)
    co_return caf::unit;
  auto trusted = co_await env_.trust_authority(record_.info.id, record_.secrets.authority.certificate);
  co_return std::move(trusted);
}

coro::task<void> sandbox_state_machine::persist() {
  auto written = co_await coro::blocking<void>(
      env_.store_calls,
      [&s = env_.store, id = record_.info.id, state = record_.info.state, at = record_.info.expires_at,
       ttl = record_.info.ttl_seconds] { return s.update(id, state, at, ttl); });
  co_return std::move(written);
}

coro::task<void> sandbox_state_machine::watch_init() {
  auto ended = co_await coro::io<void>(env_.threads.here(), runtime::init_ended(instance_));
  if (ended && life_.state() == sandbox_state::ready)
    co_await finish(end_reason::failed);
  co_return caf::unit;
}

} // namespace sandy
