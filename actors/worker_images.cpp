#include "actors/worker.hpp"
#include "coro/io.hpp"
#include "coro/request.hpp"
#include "coro/timer.hpp"
#include "metrics/log.hpp"

#include <algorithm>

namespace sandy {

// What sandboxes are made from: images of the installation, snapshots of tenants, forks. A layer's record is
// written before there is anything on disk and removed after that is gone.

namespace {

constexpr auto copy_end_patience = std::chrono::seconds{1};

coro::task<void> acquire(coro::semaphore& from, coro::semaphore::permit& into) {
  into = co_await from.acquire();
  co_return caf::unit;
}

image_info shown(runtime::installed_image image) {
  return {std::move(image.name),
          false,
          {},
          image.size_bytes,
          image.made_at,
          image.imported,
          std::move(image.digest),
          std::move(image.layers)};
}

image_info shown(const layer_record& record) {
  return {record.name, true, record.source, record.size_bytes, record.created_at};
}

} // namespace

caf::result<std::vector<image_info>> worker_state::images(list_images request) {
  auto installed = co_await coro::blocking<std::vector<runtime::installed_image>>(
      env_.kernel_calls, [&d = env_.driver] { return d.images(); });
  if (!installed)
    co_return std::move(installed.error());
  std::vector<image_info> all;
  for (const auto* each : layers_.visible(request.caller))
    all.push_back(shown(*each));
  // A snapshot is what its name means to its tenant, also when an image of the same name was imported later.
  for (auto& each : *installed)
    if (layers_.find(request.caller, each.name) == nullptr)
      all.push_back(shown(std::move(each)));
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  co_return std::move(all);
}

caf::result<image_info> worker_state::snapshot(snapshot_sandbox request) {
  if (!request.name.empty() && !is_image_name(request.name))
    co_return fail(errc::invalid_argument, "This cannot be the name of an image");
  if (request.name.empty())
    request.name = "snapshot-" + make_layer_id().value.substr(0, 12);
  if (find(request.caller, request.id) == nullptr)
    co_return no_such_sandbox();
  // A name of the installation's stays what it is for everybody.
  auto installed = co_await coro::blocking<std::vector<runtime::installed_image>>(
      env_.kernel_calls, [&d = env_.driver] { return d.images(); });
  if (!installed)
    co_return std::move(installed.error());
  if (layers_.taken(request.caller.tenant, request.name) ||
      env_.settings.images.resolve(request.name) != request.name ||
      std::any_of(installed->begin(), installed->end(),
                  [&](const auto& each) { return each.name == request.name; }))
    co_return fail(errc::conflict, "There is an image of this name already");
  if (layers_.count(request.caller.tenant) >= env_.settings.max_snapshots)
    co_return fail(errc::rate_limited, "No more than " + std::to_string(env_.settings.max_snapshots) +
                                           " snapshots are kept: delete one first");
  auto kept = co_await keep(std::move(request.caller), std::move(request.id), std::move(request.name));
  if (!kept)
    co_return std::move(kept.error());
  const auto* record = layers_.find(*kept->hold);
  if (record == nullptr)
    co_return fail(errc::internal, "The snapshot is gone");
  co_return shown(*record);
}

/// Waits for its turn to copy, but not for long.
coro::task<void> worker_state::copy_turn(coro::semaphore::permit& turn) {
  if (auto waited = co_await coro::with_timeout(copy_patience, acquire(copies_, turn)); !waited)
    co_return refused(refusal::no_turn);
  if (!accepting_)
    co_return refused(refusal::draining);
  co_return caf::unit;
}

/// Ends copies that are under way, and returns when none is.
coro::task<void> worker_state::end_copies() {
  std::vector<coro::semaphore::permit> all;
  while (all.size() < copies_at_once) {
    if (copies_.available() == 0)
      co_await coro::blocking<void>(env_.kernel_calls, [&d = env_.driver] { return d.end_copies(); });
    coro::semaphore::permit turn; // again after a while: a copy may just be about to begin
    if (co_await coro::with_timeout(copy_end_patience, acquire(copies_, turn)))
      all.push_back(std::move(turn));
  }
  co_return caf::unit;
}

/// What a sandbox wrote, as a new layer. @param image its name; empty: it lives as long as it is held.
coro::task<worker_state::kept_layer> worker_state::keep(principal caller, sandbox_id id, std::string image) {
  auto* source = find(caller, id);
  if (source == nullptr || source->ending != end_reason::none)
    co_return no_such_sandbox();
  layer_record record{make_layer_id(),  {}, caller.tenant, std::move(image), caller.sandbox, id, 0,
                      env_.wall_clock()};
  auto key = record.id;
  auto handle = source->handle;
  layers_.put(record);
  auto hold = layers_.use(key);
  auto copied = co_await copy(std::move(record), std::move(handle));
  if (copied)
    co_return kept_layer{std::move(hold), std::move(*copied)};
  // Without a name and a hold it is nobody's: collected with whatever there is of it.
  if (auto failed = layers_.find(key)) {
    auto nameless = *failed;
    nameless.name.clear();
    layers_.put(std::move(nameless));
  }
  hold.reset();
  coro::spawn(collect_layers());
  co_return std::move(copied.error());
}

coro::task<layer_kept> worker_state::copy(layer_record record, sandbox_actor source) {
  auto begun = co_await store_layer(record);
  if (!begun)
    co_return std::move(begun.error());
  coro::semaphore::permit turn;
  auto granted = co_await copy_turn(turn);
  if (!granted)
    co_return std::move(granted.error());
  auto copied = co_await coro::request(source, coro::infinite, keep_layer{record.id});
  if (!copied)
    co_return std::move(copied.error());
  record.below = copied->below;
  record.size_bytes = copied->size_bytes;
  record.complete = true;
  auto stored = co_await store_layer(record);
  if (!stored)
    co_return std::move(stored.error());
  layers_.put(std::move(record));
  co_return std::move(copied);
}

coro::task<void> worker_state::store_layer(layer_record record) {
  auto stored = co_await coro::blocking<void>(
      env_.store_calls, [&s = env_.store, record = std::move(record)] { return s.put_layer(record); });
  co_return std::move(stored);
}

caf::result<image_info> worker_state::remove_snapshot(remove_image request) {
  const auto* found = layers_.find(request.caller, request.name);
  if (found == nullptr) {
    request.name = env_.settings.images.resolve(request.name);
    auto removed = co_await remove_imported(std::move(request));
    co_return std::move(removed);
  }
  auto nameless = *found;
  auto answer = shown(nameless);
  auto hold = layers_.use(nameless.id); // nobody collects it before the store has agreed
  nameless.name.clear();
  layers_.put(nameless);
  auto stored = co_await store_layer(nameless);
  if (!stored) { // after a restart it would be there again: it is not gone
    nameless.name = answer.name;
    layers_.put(std::move(nameless));
    co_return std::move(stored.error());
  }
  hold.reset();
  co_await collect_layers();
  co_return std::move(answer);
}

coro::task<image_info> worker_state::remove_imported(remove_image request) {
  auto installed = co_await coro::blocking<std::vector<runtime::installed_image>>(
      env_.kernel_calls, [&d = env_.driver] { return d.images(); });
  if (!installed)
    co_return std::move(installed.error());
  auto found = std::find_if(installed->begin(), installed->end(),
                            [&](const auto& each) { return each.name == request.name; });
  if (found == installed->end())
    co_return fail(errc::image_not_found, "There is no image of this name");
  if (!found->imported || !request.caller.admin)
    co_return fail(errc::forbidden, "This image belongs to the installation");
  auto removed = co_await coro::blocking<void>(
      env_.kernel_calls, [&d = env_.driver, name = request.name] { return d.remove_image(name); });
  if (!removed)
    co_return std::move(removed.error());
  coro::spawn(sweep_images()); // trees of gigabytes: nobody waits for that
  co_return shown(std::move(*found));
}

caf::result<std::vector<sandbox_info>> worker_state::fork(fork_sandbox request) {
  auto caller = caf::actor_cast<caf::actor_addr>(self_->current_sender());
  auto kept = co_await keep(request.caller, request.id, {});
  if (!kept)
    co_return std::move(kept.error());
  std::vector<coro::task<sandbox_info>> makings;
  std::vector<std::shared_ptr<creation>> orders;
  caf::error failure;
  for (std::uint32_t i = 0; i < request.count && !failure; ++i) {
    auto planned = plan(fork_of(request, kept->answer), kept->hold);
    if (!planned) {
      failure = std::move(planned.error());
      break;
    }
    orders.push_back(begin_creation(caller, *planned));
    makings.push_back(make_claimed_or_cold(std::move(*planned), orders.back()));
  }
  if (failure)
    makings.clear();
  // The orders stay until all are made: if the caller goes, all go.
  auto made = co_await coro::when_all(std::move(makings));
  std::vector<sandbox_info> infos;
  for (auto& each : *made)
    if (each)
      infos.push_back(std::move(*each));
    else if (!failure)
      failure = std::move(each.error());
  const auto gone =
      std::any_of(orders.begin(), orders.end(), [](const auto& order) { return order->abandoned; });
  if (!failure && gone)
    failure = fail(errc::cancelled, "The caller went away");
  for (const auto& order : orders)
    end_creation(caller, order, failure ? sandbox_id{} : order->id);
  if (failure) { // all or none
    std::vector<sandbox_id> made_ones;
    for (const auto& info : infos)
      made_ones.push_back(info.id);
    co_await end_all(std::move(made_ones), gone ? end_reason::caller_gone : end_reason::failed);
    co_return std::move(failure);
  }
  for (const auto& info : infos)
    if (auto entry = live_.find(info.id); entry != live_.end())
      entry->second.ready = true;
  co_return std::move(infos);
}

/// What a fork asks for: what the original is, but for what is asked to be different.
create_sandbox worker_state::fork_of(const fork_sandbox& request, const layer_kept& original) {
  const auto& info = original.source;
  create_sandbox wanted;
  wanted.caller = request.caller;
  wanted.parent = request.parent;
  wanted.flavor = info.flavor;
  wanted.image = info.image;
  wanted.limits = info.limits;
  wanted.ttl_seconds = request.ttl_seconds > 0 ? request.ttl_seconds : info.ttl_seconds;
  wanted.priority = info.priority;
  wanted.preemptable = info.preemptable;
  wanted.expose_ports = info.expose_ports;
  wanted.private_ports = info.private_ports;
  wanted.workdir = info.workdir;
  wanted.idle_timeout_seconds = info.idle_timeout_seconds;
  wanted.pause_on_idle = info.pause_on_idle;
  wanted.upstream = info.upstream;
  wanted.docker_socket = info.docker_socket;
  wanted.network = info.network;
  wanted.env = original.env;
  for (const auto& given : request.env) {
    std::erase_if(wanted.env, [&](const auto& each) { return each.first == given.first; });
    wanted.env.push_back(given);
  }
  return wanted;
}

// -- keeping house
// -------------------------------------------------------------------------------------------------------

/// Fails when the store does.
coro::task<void> worker_state::read_layers() {
  auto records = co_await coro::blocking<std::vector<layer_record>>(env_.store_calls,
                                                                    [&s = env_.store] { return s.layers(); });
  if (!records)
    co_return std::move(records.error());
  for (auto& record : *records) {
    if (!record.complete) // the server was killed while it was made
      record.name.clear();
    layers_.put(std::move(record));
  }
  co_return caf::unit;
}

/// Removes layers that nobody needs. What cannot be removed now is tried again by the next sweep.
coro::task<void> worker_state::collect_layers() {
  if (layers_.unneeded().empty())
    co_return caf::unit;
  auto turn = co_await collecting_.acquire();
  for (auto unneeded = layers_.unneeded(); !unneeded.empty(); unneeded = layers_.unneeded())
    for (const auto& id : unneeded) {
      auto removed = co_await coro::blocking<void>(env_.kernel_calls,
                                                   [&d = env_.driver, id] { return d.remove_layer(id); });
      if (removed)
        removed = co_await coro::blocking<void>(env_.store_calls,
                                                [&s = env_.store, id] { return s.remove_layer(id); });
      if (!removed) {
        log_event(log_level::warn, "layer_not_removed",
                  {{"layer", id.value}, {"error", text_of(removed.error())}});
        co_return caf::unit;
      }
      layers_.remove(id);
    }
  co_return caf::unit;
}

/// Also removes what is on disk and nobody knows.
coro::task<void> worker_state::sweep_layers() {
  // The disk first, our records second: what they do not have by then was never going to be there.
  auto present = co_await coro::blocking<std::vector<layer_id>>(env_.kernel_calls,
                                                                [&d = env_.driver] { return d.layers(); });
  if (present)
    for (const auto& id : *present) {
      if (layers_.contains(id))
        continue;
      auto removed = co_await coro::blocking<void>(env_.kernel_calls,
                                                   [&d = env_.driver, id] { return d.remove_layer(id); });
      log_event(log_level::warn, "leftover_layer_removed",
                {{"layer", id.value}, {"outcome", removed ? "removed" : text_of(removed.error())}});
    }
  co_return co_await collect_layers();
}

/// Removes what imported images left that nobody stands on any more. What cannot be removed now is tried
/// again.
coro::task<void> worker_state::sweep_images() {
  auto swept =
      co_await coro::blocking<void>(env_.kernel_calls, [&d = env_.driver] { return d.sweep_images(); });
  if (!swept)
    log_event(log_level::warn, "images_not_swept", {{"error", text_of(swept.error())}});
  co_return caf::unit;
}

} // namespace sandy
