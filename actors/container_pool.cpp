#include "actors/container_pool.hpp"

#include "actors/create_request.hpp"
#include "coro/request.hpp"
#include "coro/timer.hpp"
#include "metrics/log.hpp"
#include "metrics/registry.hpp"
#include "runtime/driver.hpp"
#include "runtime/oci/sha256.hpp"

#include <algorithm>

namespace sandy {

namespace {

using namespace std::chrono_literals;

/// Between two looks at the health and the age of containers.
constexpr auto look_period = 10s;
/// Of the sandboxes. Each look renews it: nothing stays for longer when there is no pool any more.
constexpr std::uint32_t lease_seconds = 300;
constexpr auto question_timeout = 30s;
/// A sandbox from nothing, its image unpacked, and the container's own time to become healthy.
constexpr auto make_timeout = 120s;
/// For its image, which is fetched on when nobody waits for it. All three together are shorter than a lease,
/// which nobody renews meanwhile.
constexpr auto image_timeout = 45s;
/// Looks in a row that a container may leave without an answer: one may have come when its machine was busy.
constexpr std::uint32_t most_unanswered = 1;
/// Of the digest in a container's name.
constexpr std::size_t digest_digits = 16;
constexpr auto first_failure_pause = 1s;
constexpr auto last_failure_pause = 60s;
constexpr std::uint32_t retry_after = 5;

/// It serves, or, right after a start of the server, nobody has asked it yet.
bool serves(const container_info& one) {
  return one.status == container_status::running && one.health != container_health::unhealthy;
}

template <class Waiter>
coro::task<void> woken(std::shared_ptr<Waiter> who) {
  co_await who->woken.wait();
  co_return caf::unit;
}

} // namespace

container_pool_state::container_pool_state(self_pointer self, services* env, model_containers what,
                                           worker_actor worker)
    : self_(self)
    , env_(*env)
    , what_(std::move(what))
    , worker_(std::move(worker))
    , me_(tenant_id{"gateway:" + what_.model}) {}

container_pool_actor::behavior_type container_pool_state::make_behavior() {
  coro::spawn(keep());
  return {
      [this](claim_container request) { return claim(std::move(request)); },
      [this](const return_container& request) { give_back(request); },
      [this](get_container_pool) { return health(); },
  };
}

caf::result<container_claim> container_pool_state::claim(claim_container request) {
  if (auto free = least_busy(request.besides); free != members_.end())
    co_return give(free, request.number);
  if (request.wait_ms == 0)
    co_return fail_for_now(errc::capacity_exhausted, "No container of this model is free", retry_after);
  if (waiting_.size() >= what_.most_waiting)
    co_return fail_for_now(errc::capacity_exhausted, "Every container of this model is busy", retry_after);
  auto mine = std::make_shared<waiter>(request.number);
  waiting_.push_back(mine);
  wake();
  show();
  co_await coro::with_timeout(std::chrono::milliseconds{request.wait_ms}, woken(mine));
  std::erase(waiting_, mine);
  show();
  if (!mine->outcome)
    co_return fail_for_now(errc::deadline_exceeded,
                           error_.empty() ? "No container of this model became free in time"
                                          : "No container of this model became ready in time: " + error_,
                           retry_after);
  co_return std::move(*mine->outcome);
}

container_pool_state::members::iterator container_pool_state::least_busy(const sandbox_id& besides) {
  auto best = members_.end();
  for (auto each = members_.begin(); each != members_.end(); ++each)
    if (!each->retired && each->in_use < what_.at_once && each->sandbox != besides &&
        (best == members_.end() || each->in_use < best->in_use))
      best = each;
  return best;
}

container_claim container_pool_state::give(members::iterator to, std::uint64_t number) {
  ++to->in_use;
  ++to->served;
  ++served_;
  claims_[number] = to;
  if (what_.most_served != 0 && to->served >= what_.most_served)
    retire(to);
  show();
  wake(); // one more may be wanted
  return {to->sandbox, to->container, to->port};
}

void container_pool_state::give_back(const return_container& request) {
  if (auto waits = std::ranges::find(waiting_, request.number, &waiter::number); waits != waiting_.end()) {
    (*waits)->outcome = fail(errc::cancelled, "The request was cancelled");
    (*waits)->woken.set();
    waiting_.erase(waits);
  }
  auto found = claims_.extract(request.number);
  if (found.empty())
    return;
  auto member = found.mapped();
  --member->in_use;
  member->used_at = self_->clock().now();
  // What failed once may be broken in ways that no health check sees: a new one costs less than another
  // failure.
  if (request.failed)
    retire(member);
  else if (member->retired)
    end_if_idle(member);
  serve_waiting();
  show();
}

void container_pool_state::serve_waiting() {
  while (!waiting_.empty()) {
    auto free = least_busy();
    if (free == members_.end())
      break;
    auto first = std::move(waiting_.front());
    waiting_.pop_front();
    first->outcome = give(free, first->number);
    first->woken.set();
  }
}

void container_pool_state::fail_waiting(const caf::error& why) {
  for (auto& each : std::exchange(waiting_, {})) {
    each->outcome = why;
    each->woken.set();
  }
}

void container_pool_state::retire(members::iterator which) {
  which->retired = true;
  end_if_idle(which);
  wake();
}

void container_pool_state::end_if_idle(members::iterator which) {
  if (which->in_use != 0)
    return;
  coro::spawn(end(which->sandbox));
  members_.erase(which);
}

coro::task<void> container_pool_state::end(sandbox_id which) {
  co_await coro::request(worker_, question_timeout, terminate_sandbox{me_, std::move(which)});
  co_return caf::unit; // one that does not end has a lease that nobody renews
}

std::uint32_t container_pool_state::ready() const {
  return static_cast<std::uint32_t>(std::ranges::count(members_, false, &member::retired));
}

/// Its time is over, or nearly all the requests that it may serve: another one is made for its place.
bool container_pool_state::is_old(const member& which) const {
  auto worn = what_.most_served - what_.most_served / 4;
  return self_->clock().now() - which.made_at >= what_.max_age ||
         (what_.most_served != 0 && which.served >= worn);
}

/// One at a time, and while as many as are wanted stay ready: those made together grow old together. Where
/// there is no room for one more, the new one comes after it.
void container_pool_state::retire_oldest() {
  if (ready() <= std::min(what_.warm, what_.most - 1))
    return;
  auto oldest = members_.end();
  for (auto each = members_.begin(); each != members_.end(); ++each)
    if (!each->retired && is_old(*each) && (oldest == members_.end() || each->made_at < oldest->made_at))
      oldest = each;
  if (oldest != members_.end())
    retire(oldest);
}

/// Fewer than are to be ready and stay so, or none for who waits; those that still serve their last request
/// count as long as they are there.
bool container_pool_state::wanted_more() const {
  auto there = members_.size();
  auto lasting =
      std::ranges::count_if(members_, [this](const member& each) { return !each.retired && !is_old(each); });
  auto free = std::ranges::count_if(
      members_, [this](const member& each) { return !each.retired && each.in_use < what_.at_once; });
  return there < what_.most && (lasting < what_.warm || (free == 0 && !waiting_.empty()));
}

void container_pool_state::wake() {
  bool signal = true;
  woken_.try_push(signal);
}

coro::task<void> container_pool_state::keep() {
  co_await take_over();
  for (;;) {
    show();
    auto now = self_->clock().now();
    if (now >= next_look_) {
      co_await look_after();
      continue;
    }
    if (!wanted_more() || now < next_try_) {
      auto until = wanted_more() ? std::min(next_try_, next_look_) : next_look_;
      co_await coro::with_timeout(until - now, woken_.take(1));
      continue;
    }
    ++making_;
    show();
    auto made = co_await make_one();
    --making_;
    if (made) {
      failures_ = 0;
      error_.clear();
      serve_waiting();
      continue;
    }
    error_ = text_of(made.error());
    env_.metrics.containers().failed(what_.model);
    log_event(log_level::warn, "model_container_failed",
              {{"model", what_.model}, {"image", what_.image}, {"error", error_}});
    auto pause = std::min<std::chrono::milliseconds>(first_failure_pause * (1u << std::min(failures_, 6u)),
                                                     last_failure_pause);
    ++failures_;
    next_try_ = self_->clock().now() + pause;
    // Who waits while others serve still has a chance.
    if (ready() == 0)
      fail_waiting(made.error());
  }
}

/// Containers that an earlier server made for this model serve on, if they are what would be made now.
coro::task<void> container_pool_state::take_over() {
  auto found = co_await coro::request(worker_, question_timeout, list_sandboxes{me_, {}});
  if (!found)
    co_return caf::unit;
  auto wanted = co_await name_of_new();
  if (!wanted)
    co_return std::move(wanted.error());
  for (const auto& box : *found) {
    auto inside = co_await coro::request(worker_, question_timeout, list_containers{me_, box.id});
    auto usable = inside && inside->size() == 1 && inside->front().image == what_.image &&
                  inside->front().name == *wanted && serves(inside->front()) && members_.size() < what_.most;
    if (!usable) {
      co_await end(box.id);
      continue;
    }
    auto now = self_->clock().now();
    auto age = std::chrono::milliseconds{std::max<unix_millis>(0, env_.wall_clock() - box.created_at)};
    members_.push_back({box.id, inside->front().id, inside->front().port, 0, 0, 0, false, now - age, now});
    serve_waiting();
  }
  co_return caf::unit;
}

create_sandbox container_pool_state::sandbox_order() const {
  create_sandbox order;
  order.caller = me_;
  if (!what_.flavor.empty())
    order.flavor = what_.flavor;
  order.limits = what_.limits;
  order.ttl_seconds = lease_seconds;
  order.idle_timeout_seconds = 0;
  order.priority = 1;
  order.network.mode = network_mode::platform;
  return order;
}

/// What a container made now is called: the model, and a digest of all that it is made from, so that a later
/// server knows it from one of other settings or of an image that was replaced.
coro::task<std::string> container_pool_state::name_of_new() {
  auto image = env_.settings.images.resolve(what_.image);
  auto changed = co_await coro::blocking<unix_millis>(
      env_.kernel_calls, [&d = env_.driver, image] { return d.image_changed_at(image); });
  runtime::oci::sha256 digest;
  auto add = [&digest](const std::string& part) { digest.update(std::to_string(part.size()) + ":" + part); };
  add(image);
  add(std::to_string(changed ? *changed : 0));
  add(what_.flavor);
  const auto& limits = what_.limits;
  for (auto number :
       {limits.memory_bytes, std::uint64_t{limits.cpu_millis}, std::uint64_t{limits.pids}, limits.disk_bytes,
        std::uint64_t{what_.port}, static_cast<std::uint64_t>(what_.timeout.count())})
    add(std::to_string(number));
  add(std::to_string(what_.command.size()));
  for (const auto& each : what_.command)
    add(each);
  for (const auto& each : what_.env) {
    add(each.first);
    add(each.second);
  }
  add(what_.llm_api_key);
  add(env_.settings.containers.platform_url);
  co_return what_.model + "#" + digest.hex().substr(0, digest_digits);
}

container_order container_pool_state::container(std::string called) const {
  container_order order;
  order.image = what_.image;
  order.name = std::move(called);
  order.env = what_.env;
  order.command = what_.command;
  order.llm_api_key = what_.llm_api_key;
  order.timeout_seconds = static_cast<std::uint32_t>(what_.timeout.count());
  order.port = what_.port;
  order.restart = restart_policy::never; // it is replaced instead
  return order;
}

coro::task<bool> container_pool_state::make_one() {
  auto begun = self_->clock().now();
  auto image = co_await coro::with_timeout(image_timeout, image_for(env_, what_.image));
  if (!image)
    co_return fail(errc::upstream_error,
                   "The image " + what_.image + " cannot be had: " + text_of(image.error()));
  auto called = co_await name_of_new();
  if (!called)
    co_return std::move(called.error());
  // An actor of its own asks, that ends in order when it has heard: what was made for a pool lives on without
  // it.
  auto maker = self_->home_system().spawn<coro::actor<create_request_state, create_request_actor>>(
      worker_, make_timeout);
  auto box = co_await coro::request(maker, coro::infinite, sandbox_order());
  if (!box)
    co_return std::move(box.error());
  auto made = co_await coro::request(worker_, make_timeout,
                                     run_container{me_, box->id, container(std::move(*called))});
  if (!made) {
    co_await end(box->id);
    co_return std::move(made.error());
  }
  auto now = self_->clock().now();
  members_.push_back({box->id, made->id, made->port, 0, 0, 0, false, now, now});
  env_.metrics.containers().made(what_.model, std::chrono::duration<double>(now - begun).count());
  co_return true;
}

/// Retires what is not healthy, and one that is too old, lets go what nobody needs, and renews the leases of
/// the rest.
coro::task<void> container_pool_state::look_after() {
  next_look_ = self_->clock().now() + look_period;
  std::vector<sandbox_id> all;
  for (const auto& each : members_)
    all.push_back(each.sandbox);
  for (const auto& id : all) {
    auto renewed = co_await coro::request(worker_, question_timeout, refresh_sandbox{me_, id, lease_seconds});
    auto inside = co_await coro::request(worker_, question_timeout, list_containers{me_, id});
    auto member = std::ranges::find(members_, id, &member::sandbox);
    if (member == members_.end() || member->retired)
      continue;
    auto now = self_->clock().now();
    auto silent = (!renewed && code_of(renewed.error()) == errc::deadline_exceeded) ||
                  (!inside && code_of(inside.error()) == errc::deadline_exceeded);
    member->unanswered = silent ? member->unanswered + 1 : 0;
    if (silent && member->unanswered <= most_unanswered)
      continue;
    auto well = renewed && inside && inside->size() == 1 && serves(inside->front());
    auto spare = ready() > what_.warm && member->in_use == 0 && now - member->used_at >= what_.spare_time;
    if (!well)
      log_event(log_level::warn, "model_container_unwell",
                {{"model", what_.model}, {"sandbox_id", id.value}});
    if (!well || spare)
      retire(member);
  }
  retire_oldest();
  co_return caf::unit;
}

container_pool_health container_pool_state::health() const {
  auto busy =
      std::ranges::count_if(members_, [](const member& each) { return !each.retired && each.in_use != 0; });
  return {what_.model,
          what_.image,
          ready(),
          static_cast<std::uint32_t>(busy),
          making_,
          what_.warm,
          static_cast<std::uint32_t>(waiting_.size()),
          served_,
          error_};
}

void container_pool_state::show() const {
  auto now = health();
  env_.metrics.containers().shown(what_.model, now.ready, now.busy, now.making, now.waiting);
}

} // namespace sandy
