#include "actors/budget.hpp"
#include "actors/limits.hpp"
#include "actors/sandbox.hpp"
#include "actors/worker.hpp"
#include "coro/request.hpp"

#include <caf/send.hpp>

#include <algorithm>

namespace sandy {

// How the worker makes sandboxes: the plan, its place, a warm one or a new one.

/// The parent of a sandbox to be, nullptr for none. Fails when the caller does not reach it or it may have no
/// more children.
result<const worker_state::child*> worker_state::parent_of(const create_sandbox& request) {
  if (const auto& asker = request.caller.sandbox;
      !asker.value.empty() && find(request.caller, asker) == nullptr)
    return fail(errc::unauthorized, "The sandbox of this token has ended");
  const auto& id = request.parent.value.empty() ? request.caller.sandbox : request.parent;
  if (id.value.empty())
    return nullptr;
  const auto* parent = find(request.caller, id);
  if (parent == nullptr || parent->doomed || parent->ending != end_reason::none)
    return no_such_sandbox();
  if (auto allowed = family_.may_add(id, env_.wall_clock()); !allowed)
    return std::move(allowed.error());
  return parent;
}

/// Whether the tenant's budget of living sandboxes and of memory has room for one more, creations on their
/// way included.
result<void> worker_state::tenant_has_room(const sandbox_info& wanted) const {
  std::uint64_t alive = 0, memory = 0;
  auto count = [&](const tenant_id& tenant, const resource_limits& limits) {
    if (tenant == wanted.tenant) {
      ++alive;
      memory += limits.memory_bytes;
    }
  };
  for (const auto& [id, each] : live_)
    count(each.tenant, each.limits);
  for (const auto& [caller, order] : creating_for_)
    if (!live_.contains(order->id))
      count(order->tenant, order->limits);
  return within_budget(env_.limits->of(wanted.tenant), alive, memory, wanted.limits.memory_bytes);
}

bool worker_state::parent_lives(const sandbox_info& child) const {
  if (child.parent.value.empty())
    return true;
  auto parent = live_.find(child.parent);
  return parent != live_.end() && !parent->second.doomed && parent->second.ending == end_reason::none;
}

/// Tenant, flavor, parent, priority and limits of a sandbox to be, if one may be made: caller and parent
/// live, the tenant's budget has room, and this machine is large enough.
result<sandbox_info> worker_state::may_create(const create_sandbox& request) {
  auto parent = parent_of(request);
  if (!parent)
    return std::move(parent.error());
  if (!accepting_)
    return refused(refusal::draining);
  // Callers may name flavors that only other installations have; they get the plain one, and the answer shows
  // it.
  auto kind = env_.settings.flavors.find(request.flavor);
  if (kind == env_.settings.flavors.end())
    kind = env_.settings.flavors.begin();
  sandbox_info wanted;
  wanted.tenant = request.caller.tenant;
  wanted.flavor = kind->first;
  wanted.limits = effective_limits(request.limits, kind->second.limits, env_.settings);
  wanted.priority = request.priority;
  if (*parent != nullptr) {
    wanted.parent = request.parent.value.empty() ? request.caller.sandbox : request.parent;
    wanted.limits = child_limits(request.limits, (*parent)->limits);
    wanted.priority =
        std::max(wanted.priority, (*parent)->priority); // not more important than what it dies with
  }
  if (auto fits = tenant_has_room(wanted); !fits)
    return std::move(fits.error());
  if (auto never = room_.over(amounts_of(wanted.limits))) // not on an empty machine either
    return refused(*never);
  return wanted;
}

result<sandbox_record> worker_state::plan(const create_sandbox& request, const layers::hold& on) {
  auto able = may_create(request);
  if (!able)
    return std::move(able.error());
  auto parent = live_.find(able->parent);
  const auto* above = parent == live_.end() ? nullptr : &parent->second;
  auto record = blank(able->flavor);
  record.env = request.env;
  auto& info = record.info;
  if (!request.secrets.empty()) {
    if (!env_.place_secrets)
      return fail(errc::feature_unavailable, "This server keeps no secrets");
    auto placed = env_.place_secrets(request.secrets);
    if (!placed)
      return std::move(placed.error());
    record.secrets = std::move(*placed);
    info.secrets = uses_of(record.secrets);
  }
  info.tenant = able->tenant;
  info.parent = able->parent;
  info.limits = able->limits;
  info.priority = able->priority;
  if (!request.image.empty())
    info.image = request.image;
  if (on)
    record.layer = *on;
  else if (const auto* snapshot = layers_.find(request.caller, request.image))
    record.layer = snapshot->id;
  else if (!request.image.empty())
    info.image = env_.settings.images.resolve(request.image);
  // It is not spared when its parent makes room, else it would keep it.
  info.preemptable = request.preemptable || (above != nullptr && above->preemptable);
  info.expose_ports = request.expose_ports;
  info.private_ports = request.private_ports;
  info.upstream = request.upstream;
  choose_runtime(request, env_.settings.runtimes, info);
  info.network = network_for(request.network, above);
  info.workdir = request.workdir;
  info.ttl_seconds = effective_ttl(request.ttl_seconds, above != nullptr, env_.settings);
  info.expires_at = info.created_at + 1000ll * info.ttl_seconds;
  bound_lease(info, env_.settings);
  info.idle_timeout_seconds = request.idle_timeout_seconds != usual_idle_timeout
                                  ? request.idle_timeout_seconds
                                  : static_cast<std::uint32_t>(env_.settings.default_idle_timeout.count());
  info.pause_on_idle = request.pause_on_idle;
  return record;
}

/// A sandbox of that flavor that is nobody's.
sandbox_record worker_state::blank(const std::string& kind) {
  const auto& settings = env_.settings.flavors.at(kind);
  sandbox_record record;
  auto& info = record.info;
  info.id = make_sandbox_id(env_.settings.node);
  info.flavor = kind;
  info.image = settings.image;
  info.runtime = env_.settings.runtimes.usual;
  info.network.mode = network_mode::none;
  info.limits = effective_limits({}, settings.limits, env_.settings);
  info.created_at = env_.wall_clock();
  return record;
}

caf::result<sandbox_info> worker_state::create(create_sandbox request) {
  auto begun = std::chrono::steady_clock::now();
  auto caller = caf::actor_cast<caf::actor_addr>(self_->current_sender());
  if (env_.provide_image && layers_.find(request.caller, request.image) == nullptr) {
    // Nothing is fetched for who may create nothing; what may change meanwhile is asked again below.
    auto able = may_create(request);
    if (!able)
      co_return std::move(able.error());
    if (auto allowed = may_connect(request); !allowed)
      co_return std::move(allowed.error());
    auto there = co_await image_there(caller, request.image);
    if (!there)
      co_return std::move(there.error());
  }
  auto record = plan(request);
  if (!record)
    co_return std::move(record.error());
  if (auto allowed = may_connect(request); !allowed)
    co_return std::move(allowed.error());
  auto order = begin_creation(caller, *record);

  auto made = co_await make_claimed_or_cold(std::move(*record), order);
  if (made && !request.connect_to.empty())
    made = co_await connect_new(request.caller, std::move(*made), std::move(request.connect_to));
  end_creation(caller, order, made ? made->id : sandbox_id{});
  if (!made)
    co_return std::move(made);
  if (auto entry = live_.find(made->id); entry != live_.end())
    entry->second.ready = true;
  env_.metrics.create_timed(metrics::create_phase::total,
                            std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
  co_return std::move(made);
}

/// Returns when the store has the image. Fails as fetching does, and with cancelled when the caller is gone:
/// it is a request actor, which ends with its client and when its time is over.
coro::task<void> worker_state::image_there(caf::actor_addr caller, std::string image) {
  image_wait wait;
  wait.work = fetch_for(&wait, std::move(image));
  wait.work.start();
  if (!wait.over.is_set()) {
    if (!watched(caller))
      self_->monitor(caller);
    waiting_for_image_.emplace(caller, &wait);
    co_await wait.over.wait();
    std::erase_if(waiting_for_image_, [&](const auto& each) { return each.second == &wait; });
    if (!wait.gone && !watched(caller))
      self_->demonitor(caller);
  }
  if (wait.gone || !wait.outcome)
    co_return fail(errc::cancelled, "The caller went away");
  co_return std::move(*wait.outcome);
}

coro::task<void> worker_state::fetch_for(image_wait* wait, std::string image) {
  auto provided = co_await image_for(env_, std::move(image));
  wait->outcome = provided ? result<void>{caf::unit} : result<void>{std::move(provided.error())};
  wait->over.set();
  co_return caf::unit;
}

/// Whether its death is told already.
bool worker_state::watched(const caf::actor_addr& caller) const {
  return creating_for_.contains(caller) || unread_.contains(caller) || waiting_for_image_.contains(caller);
}

coro::task<sandbox_info> worker_state::make_claimed_or_cold(sandbox_record wanted,
                                                            std::shared_ptr<creation> order) {
  auto placed = co_await take_place(order);
  if (!placed)
    co_return std::move(placed.error());
  auto& info = wanted.info; // its life begins now, however long it waited
  info.created_at = env_.wall_clock();
  info.expires_at = info.created_at + 1000ll * info.ttl_seconds;
  bound_lease(info, env_.settings);
  if (fits_warm(wanted)) {
    auto claimed = co_await claim(wanted, order);
    if (claimed || code_of(claimed.error()) != errc::capacity_exhausted)
      co_return std::move(claimed);
  }
  co_return co_await make_cold(std::move(wanted), order);
}

std::shared_ptr<creation> worker_state::begin_creation(const caf::actor_addr& caller,
                                                       const sandbox_record& planned) {
  const auto& info = planned.info;
  auto order = std::make_shared<creation>();
  order->id = info.id;
  order->tenant = info.tenant;
  order->parent = info.parent;
  order->limits = info.limits;
  order->layer = layers_.use(planned.layer);
  order->priority = info.priority;
  order->number = ++creations_;
  order->begun = self_->clock().now();
  order->waits_until = order->begun + env_.settings.create_wait;
  // Counts as its parent's from here on, whatever it waits for.
  family_.add(info.id, info.parent, info.created_at);
  // The caller may be a request actor that dies with its client; then nobody would know the sandbox.
  if (!watched(caller))
    self_->monitor(caller);
  creating_for_.emplace(caller, order);
  ++creating_;
  return order;
}

/// @param made empty when it failed.
void worker_state::end_creation(const caf::actor_addr& caller, const std::shared_ptr<creation>& order,
                                const sandbox_id& made) {
  --creating_;
  std::erase_if(creating_for_, [&](const auto& each) { return each.second == order; });
  if (!made.value.empty() && !order->abandoned)
    unread_.emplace(caller, made);
  if (!watched(caller) && !order->abandoned)
    self_->demonitor(caller);
  if (!live_.contains(order->id))
    family_.remove(order->id);
  order->layer.reset();
  coro::spawn(collect_layers());
  give_places();
}

/// Undoes what was made for somebody who will never know. @returns whether it was a caller that died.
bool worker_state::caller_down(const caf::down_msg& down) {
  auto undo = [this](const sandbox_id& id) {
    if (auto entry = live_.find(id); entry != live_.end())
      caf::anon_send(entry->second.handle, end_sandbox{end_reason::caller_gone});
  };
  auto [first, last] = creating_for_.equal_range(down.source);
  for (auto each = first; each != last; ++each) {
    each->second->abandoned = true;
    give_up(each->second, fail(errc::cancelled, "The caller went away"));
    undo(each->second->id);
  }
  auto [unread, end] = unread_.equal_range(down.source);
  if (down.reason) // it died with the answer in its mailbox; who has read it ends in order
    for (auto each = unread; each != end; ++each)
      undo(each->second);
  auto [waits, last_wait] = waiting_for_image_.equal_range(down.source);
  for (auto each = waits; each != last_wait; ++each) {
    each->second->gone = true;
    each->second->over.set();
  }
  auto known = first != last || unread != end || waits != last_wait;
  waiting_for_image_.erase(waits, last_wait);
  creating_for_.erase(first, last);
  unread_.erase(unread, end);
  if (known)
    give_places();
  return known;
}

coro::task<sandbox_info> worker_state::make_cold(sandbox_record wanted, std::shared_ptr<creation> order) {
  auto begun = self_->clock().now();
  result<sandbox_info> made = fail(errc::cancelled, "The caller went away");
  auto turn = co_await take_turn(order);
  env_.metrics.create_timed(metrics::create_phase::queue,
                            std::chrono::duration<double>(self_->clock().now() - begun).count());
  if (turn)
    made = co_await start_cold(std::move(wanted), order);
  else
    made = std::move(turn.error());
  if (order->turn.granted)
    end_turn();
  co_return std::move(made);
}

coro::task<sandbox_info> worker_state::start_cold(sandbox_record wanted, std::shared_ptr<creation> order) {
  if (order->abandoned)
    co_return fail(errc::cancelled, "The caller went away");
  if (!parent_lives(wanted.info)) // it ended meanwhile
    co_return no_such_sandbox();
  wanted.uid_slot = free_slot();
  wanted.network_bounds = bounds_below(wanted.info.parent);
  auto handle = spawn_sandbox(wanted, nullptr);
  while (room_.over(promised() + held_by_warm()) &&
         evict_warm()) { // a warm one keeps its place only while nobody wants it
  }
  auto made = co_await coro::request(handle, coro::infinite, start_sandbox{});
  co_return std::move(made);
}

std::uint32_t worker_state::free_slot() {
  while (slots_.count(next_slot_) != 0)
    next_slot_ = (next_slot_ + 1) % runtime::uid_slots;
  return next_slot_;
}

sandbox_actor worker_state::spawn_sandbox(const sandbox_record& record,
                                          std::shared_ptr<runtime::instance> found) {
  auto handle = self_->spawn<coro::actor<sandbox_state_machine, sandbox_actor>>(
      &env_, record, std::move(found), worker_actor{self_});
  self_->monitor(handle);
  by_address_.emplace(handle.address(), record.info.id);
  slots_.insert(record.uid_slot);
  next_slot_ = (record.uid_slot + 1) %
               runtime::uid_slots; // not at once again: a late process of the old owner has that uid
  const auto& info = record.info;
  child entry{handle, info.tenant, info.parent, info.limits, info.priority, record.uid_slot, info.created_at};
  entry.flavor = info.flavor;
  entry.preemptable = info.preemptable;
  entry.network = info.network;
  entry.layer = layers_.use(record.layer);
  live_.emplace(info.id, std::move(entry));
  family_.add(info.id, info.parent, info.created_at);
  return handle;
}

} // namespace sandy
