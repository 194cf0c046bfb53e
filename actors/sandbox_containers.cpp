#include "actors/container.hpp"
#include "actors/container_program.hpp"
#include "actors/sandbox.hpp"
#include "coro/io.hpp"
#include "coro/request.hpp"
#include "coro/timer.hpp"
#include "messages/image.hpp"
#include "runtime/guest/local_data_plane.hpp"

#include <caf/send.hpp>

#include <algorithm>

namespace sandy {

// Containers in a sandbox. What the kernel holds for them is made and removed here, in turn with whatever
// stops, copies or ends the sandbox; how they are is their actors' business.

namespace {

using namespace std::chrono_literals;

constexpr std::size_t most_containers = 4;
/// A container answers at once how it is, and ends within its grace and what killing takes.
constexpr auto question_timeout = 5s, stop_margin = 30s;
/// Between two tries to remove what the kernel would not let go of.
constexpr auto remove_again = 1s;
/// And between two looks for one whose guest did not answer, and how often it is looked for.
constexpr auto find_again = 1s;
constexpr int most_looks = 20;
/// Ports that are tried, one after the other, when the one asked for is taken.
constexpr int most_ports_tried = 64;
constexpr auto hosts_timeout = 5s;
/// Whoever ordered a container waits for no longer than its image and its start may take together (the edge:
/// 90 s). When the image alone took so long, nobody may be there to hear of what would be made.
constexpr auto long_for_an_image = 45s;
/// Between two looks whether a driver has it at hand.
constexpr auto image_pause = 200ms;

caf::error no_such_container() {
  return fail(errc::container_not_found, "The sandbox has no such container");
}

/// In the data plane a container is found as a sandbox is; none has its id.
sandbox_id place_of(const container_id& id) { return {id.value}; }

} // namespace

caf::result<container_info> sandbox_state_machine::run_in(run_container message) {
  co_await containers_found_.wait();
  auto usable = co_await wake();
  if (!usable)
    co_return std::move(usable.error());
  auto& order = message.order;
  const auto asked = self_->clock().now();
  auto image = co_await image_for(env_, order.image);
  if (!image)
    co_return fail(errc::upstream_error,
                   "The image " + order.image + " cannot be had: " + text_of(image.error()));
  if (self_->clock().now() - asked > long_for_an_image)
    co_return fail_for_now(errc::upstream_error, "The image " + order.image + " is there now: ask again", 1);
  if (!is_image_name(*image))
    co_return fail(errc::validation_failed, "image must be the name of an image");
  auto about = co_await coro::blocking<runtime::image_program>(
      env_.kernel_calls, [&d = env_.driver, name = *image] { return d.program_of(name); });
  if (!about && code_of(about.error()) == errc::image_not_found)
    co_return fail(errc::upstream_error,
                   "The image " + order.image + " cannot be had: there is none of this name");
  if (!about)
    co_return std::move(about.error());
  if (life_.state() != sandbox_state::ready)
    co_return no_such_sandbox();
  if (containers_.size() >= most_containers)
    co_return fail(errc::limit_reached,
                   "A sandbox has at most " + std::to_string(most_containers) + " containers");
  container_record record;
  auto& info = record.info;
  info.id = make_container_id();
  info.sandbox = record_.info.id;
  info.image = order.image;
  info.name = order.name;
  info.timeout_seconds = order.timeout_seconds;
  info.restart = order.restart;
  info.created_at = env_.wall_clock();
  const auto id = info.id;
  containers_[id].last = info; // from here on it counts
  containers_[id].making = true;
  found_image found{std::move(*image), std::move(*about)};
  auto begun = co_await begin_container(std::move(record), std::move(order), std::move(found));
  if (!begun)
    co_await forget_container(id);
  else
    containers_[id].making = false;
  co_return std::move(begun);
}

coro::task<container_info> sandbox_state_machine::begin_container(container_record record,
                                                                  container_order order, found_image image) {
  guest::activity::use use{ended_->uses};
  auto& info = record.info;
  auto port = co_await free_port(info.id, order.port);
  if (!port)
    co_return std::move(port.error());
  info.port = *port;
  auto program =
      program_for(order, image.program, info.port, env_.settings.containers, env_.identity(record_.info));
  if (!program)
    co_return std::move(program.error());
  record.program = std::move(*program);
  if (auto used = use_key_of(record.program); !used)
    co_return std::move(used.error());
  runtime::container_spec wanted;
  wanted.sandbox = info.sandbox;
  wanted.image = image.name;
  auto look = [&d = env_.driver, wanted] { return d.prepare_image(wanted); };
  const auto patient_until = self_->clock().now() + long_for_an_image;
  auto at_hand = co_await coro::blocking<bool>(env_.kernel_calls, look);
  while (at_hand && !*at_hand && life_.state() == sandbox_state::ready) { // no thread waits for an image
    if (self_->clock().now() > patient_until)
      co_return fail_for_now(errc::capacity_exhausted, "The image is not at hand yet", 30);
    co_await coro::sleep_for(image_pause);
    at_hand = co_await coro::blocking<bool>(env_.kernel_calls, look);
  }
  if (!at_hand)
    co_return std::move(at_hand.error());
  auto stored = co_await coro::blocking<void>(env_.store_calls,
                                              [&s = env_.store, record] { return s.put_container(record); });
  if (!stored)
    co_return std::move(stored.error());
  auto made = co_await make_container(info, std::move(image.name));
  if (!made)
    co_return std::move(made.error());
  if (life_.state() != sandbox_state::ready)
    co_return no_such_sandbox();
  auto opened = open_container(std::move(record), **made, (*made)->variables, false);
  co_await name_hosts_in(std::move(opened.box)); // its program may read them at once
  auto started = co_await coro::request(opened.actor, coro::infinite, start_container{});
  if (life_.state() != sandbox_state::ready)
    co_return no_such_sandbox();
  if (!started &&
      code_of(started.error()) == errc::sandbox_ended) // its actor is gone, and the sandbox is not
    co_return fail(errc::upstream_error, "The container was removed before it was healthy");
  co_return std::move(started);
}

result<void> sandbox_state_machine::use_key_of(const container_program& program) {
  if (!env_.use_platform_key || program.platform_key.empty())
    return caf::unit;
  return env_.use_platform_key(record_.info.id, program.platform_key);
}

/// In turn with whatever stops, copies or ends the sandbox.
coro::task<std::shared_ptr<runtime::instance>> sandbox_state_machine::make_container(container_info info,
                                                                                     std::string image) {
  runtime::container_spec spec{info.id, info.sandbox, std::move(image), record_.info.limits,
                               record_.uid_slot};
  auto turn = co_await pausing_.acquire();
  if (life_.state() != sandbox_state::ready)
    co_return no_such_sandbox();
  if (record_.info.paused != pause_cause::none)
    co_return fail(errc::sandbox_paused, "The sandbox was paused meanwhile");
  auto made = co_await coro::blocking<std::shared_ptr<runtime::instance>>(
      env_.kernel_calls, [&d = env_.driver, spec]() -> result<std::shared_ptr<runtime::instance>> {
        auto instance = d.create_container(spec);
        if (!instance)
          return std::move(instance.error());
        return std::make_shared<runtime::instance>(std::move(*instance));
      });
  co_return std::move(made);
}

/// The port asked for, or the first above it that nothing listens on and no container was told. It is this
/// one's from here on.
coro::task<std::uint16_t> sandbox_state_machine::free_port(container_id whose, std::uint16_t wanted) {
  for (int i = 0, port = wanted; i < most_ports_tried && port < 65'536; ++i, ++port) {
    const auto candidate = static_cast<std::uint16_t>(port);
    if (candidate == inside_port || candidate == model_port ||
        std::any_of(containers_.begin(), containers_.end(),
                    [&](const auto& each) { return each.second.last.port == candidate; }))
      continue;
    auto taken = co_await coro::blocking<bool>(
        env_.kernel_calls, [&d = env_.driver, where = instance_, candidate]() -> result<bool> {
          auto listener = d.listen(*where, candidate);
          if (!listener && code_of(listener.error()) != errc::conflict)
            return std::move(listener.error());
          return !listener;
        });
    if (!taken)
      co_return std::move(taken.error());
    if (*taken || std::any_of(containers_.begin(), containers_.end(), [&](const auto& each) {
          return each.second.last.port == candidate; // told meanwhile
        }))
      continue;
    containers_.at(whose).last.port = candidate;
    co_return candidate;
  }
  co_return fail(errc::conflict,
                 "Port " + std::to_string(wanted) + " of the sandbox is taken, and those above it");
}

/// Makes its bytes reachable, and has somebody look after it.
/// @param where it runs: a container of its own, or the sandbox. @param base what its program finds in its
/// environment below what it was given
sandbox_state_machine::opened_container sandbox_state_machine::open_container(container_record record,
                                                                              const runtime::instance& where,
                                                                              environment base, bool found) {
  auto id = record.info.id;
  auto workdir = where.workdir.empty() ? std::string{"/"} : where.workdir;
  env_.data.add(place_of(id), std::make_shared<guest::guest_io>(where.guest_socket, base, workdir, ended_),
                ended_->uses);
  // Looking after it is no use of the sandbox.
  auto unused = std::make_shared<guest::end_state>();
  unused->on_violation = ended_->on_violation;
  auto io =
      std::make_shared<guest::guest_io>(where.guest_socket, std::move(base), workdir, std::move(unused));
  auto box = env_.open_container ? env_.open_container(io, where.guest_socket)
                                 : make_container_box(env_.threads, io, where.guest_socket);
  auto& entry = containers_.at(id);
  entry.last = record.info;
  entry.actor = self_->spawn<coro::actor<container_state, container_actor>>(&env_, std::move(record), box,
                                                                            std::move(workdir), found);
  return {entry.actor, std::move(box)};
}

/// The names that the sandbox knows are known there as well; without them it still finds what is in the DNS.
coro::task<void> sandbox_state_machine::name_hosts_in(std::shared_ptr<container_box> box) {
  if (auto ours = env_.data.find(record_.info.id)) {
    auto taken = co_await coro::with_timeout(hosts_timeout, box->take_hosts(std::move(ours)));
    if (!taken)
      log("a container does not get its names of hosts: " + text_of(taken.error()));
  }
  co_return caf::unit;
}

/// Ends a container and removes all that there is of it.
coro::task<void> sandbox_state_machine::forget_container(container_id id) {
  let_go_of(id);
  auto entry = containers_.find(id);
  const auto held_by_driver = entry == containers_.end() || !entry->second.last.workload;
  while (held_by_driver) {
    auto turn = co_await pausing_.acquire();
    if (life_.state() != sandbox_state::ready) // it goes with the sandbox
      co_return caf::unit;
    auto removed =
        co_await coro::blocking<void>(env_.kernel_calls, [&d = env_.driver, of = record_.info.id, id] {
          return d.destroy_container(of, id);
        });
    turn = {};
    if (removed)
      break;
    log("a container cannot be removed yet: " + text_of(removed.error()));
    co_await coro::sleep_for(remove_again);
  }
  auto forgotten = co_await coro::blocking<void>(env_.store_calls,
                                                 [&s = env_.store, id] { return s.remove_container(id); });
  containers_.erase(id);
  co_return std::move(forgotten);
}

/// Nobody reaches it from here on.
void sandbox_state_machine::let_go_of(const container_id& id) {
  env_.data.remove(place_of(id));
  auto entry = containers_.find(id);
  if (entry == containers_.end() || !entry->second.actor)
    return;
  caf::anon_send_exit(entry->second.actor, caf::exit_reason::user_shutdown);
  entry->second.actor = nullptr;
}

void sandbox_state_machine::let_go_of_containers() {
  for (const auto& each : containers_)
    let_go_of(each.first);
}

/// How it is now; as it was last known when nobody looks after it any more.
coro::task<container_info> sandbox_state_machine::describe(container_id id) {
  auto entry = containers_.find(id);
  if (entry == containers_.end())
    co_return no_such_container();
  if (auto actor = entry->second.actor) {
    auto now = co_await coro::request(actor, question_timeout, describe_container{});
    entry = containers_.find(id);
    if (entry == containers_.end())
      co_return no_such_container();
    if (now)
      entry->second.last = std::move(*now);
  }
  co_return entry->second.last;
}

caf::result<std::vector<container_info>> sandbox_state_machine::list_in(list_containers) {
  co_await containers_found_.wait();
  if (life_.state() != sandbox_state::ready)
    co_return no_such_sandbox();
  std::vector<container_id> ids;
  for (const auto& each : containers_)
    ids.push_back(each.first);
  std::vector<container_info> all;
  for (auto& id : ids) {
    auto info = co_await describe(std::move(id));
    if (info)
      all.push_back(std::move(*info));
  }
  std::sort(all.begin(), all.end(), [](const auto& left, const auto& right) {
    return std::tie(left.created_at, left.id) < std::tie(right.created_at, right.id);
  });
  co_return std::move(all);
}

caf::result<container_info> sandbox_state_machine::get_in(get_container message) {
  co_await containers_found_.wait();
  auto usable = co_await wake();
  if (!usable)
    co_return std::move(usable.error());
  auto info = co_await describe(std::move(message.container));
  co_return std::move(info);
}

caf::result<container_info> sandbox_state_machine::stop_in(stop_container message) {
  co_await containers_found_.wait();
  auto usable = co_await wake();
  if (!usable)
    co_return std::move(usable.error());
  auto entry = containers_.find(message.container);
  if (entry == containers_.end())
    co_return no_such_container();
  auto actor = entry->second.actor;
  if (!actor)
    co_return entry->second.last;
  guest::activity::use use{ended_->uses};
  auto stopped = co_await coro::request(actor, std::chrono::seconds{message.grace_seconds} + stop_margin,
                                        end_container{message.grace_seconds});
  co_return std::move(stopped);
}

caf::result<container_info> sandbox_state_machine::remove_in(remove_container message) {
  co_await containers_found_.wait();
  auto usable = co_await wake();
  if (!usable)
    co_return std::move(usable.error());
  auto last = co_await describe(message.container);
  if (!last)
    co_return std::move(last.error());
  if (auto entry = containers_.find(message.container); entry != containers_.end() && entry->second.making)
    co_return fail(errc::conflict, "The container is still being made");
  if (last->workload) { // what else runs in the sandbox stays
    auto ended = co_await end_workload(message.container);
    if (!ended)
      co_return std::move(ended.error());
  }
  last->status = container_status::exited;
  last->health = container_health::none;
  auto forgotten = co_await forget_container(message.container);
  if (!forgotten)
    co_return std::move(forgotten.error());
  if (life_.state() != sandbox_state::ready)
    co_return no_such_sandbox();
  co_return std::move(*last);
}

/// After a restart of the server: takes over what runs, and removes what nobody was told of.
coro::task<void> sandbox_state_machine::find_containers() {
  auto outcome = co_await find_each_container();
  if (!outcome)
    log("its containers cannot be found: " + text_of(outcome.error()));
  containers_found_.set();
  co_return caf::unit;
}

coro::task<void> sandbox_state_machine::find_each_container() {
  auto records = co_await coro::blocking<std::vector<container_record>>(
      env_.store_calls, [&s = env_.store, id = record_.info.id] { return s.containers(id); });
  if (!records)
    co_return std::move(records.error());
  auto present = co_await coro::blocking<std::vector<container_id>>(
      env_.kernel_calls, [&d = env_.driver, id = record_.info.id] { return d.containers(id); });
  if (!present)
    co_return std::move(present.error());
  for (const auto& each : *records) {
    std::erase(*present, each.info.id);
    containers_[each.info.id].last = each.info;
    if (auto used = use_key_of(each.program); !used) // the oldest first: the last one's holds, as before
      log("a container's key cannot be used: " + text_of(used.error()));
  }
  for (auto& each : *present) // without a record: nobody knows it
    coro::spawn(forget_container(std::move(each)));
  for (auto& each : *records) {
    if (each.info.workload) {
      co_await find_workload(std::move(each));
      if (life_.state() != sandbox_state::ready)
        co_return caf::unit;
      continue;
    }
    if (each.info.status == container_status::creating || each.info.process_id == 0) {
      coro::spawn(forget_container(each.info.id)); // whoever ordered it was not answered
      continue;
    }
    co_await find_container(std::move(each));
  }
  co_return caf::unit;
}

/// Looks again while it is not known whether it runs.
coro::task<void> sandbox_state_machine::find_container(container_record record) {
  const auto id = record.info.id;
  for (int look = 1; look <= most_looks; ++look) {
    auto found = co_await coro::blocking<std::shared_ptr<runtime::instance>>(
        env_.kernel_calls,
        [&d = env_.driver, of = record_.info.id, id]() -> result<std::shared_ptr<runtime::instance>> {
          auto instance = d.attach_container(of, id);
          if (!instance)
            return std::move(instance.error());
          return std::make_shared<runtime::instance>(std::move(*instance));
        });
    if (life_.state() != sandbox_state::ready)
      co_return caf::unit;
    if (found) {
      auto opened = open_container(std::move(record), **found, (*found)->variables, true);
      co_await coro::request(opened.actor, question_timeout, start_container{});
      co_return caf::unit;
    }
    if (code_of(found.error()) == errc::container_not_found)
      break;
    log("a container cannot be found yet: " + text_of(found.error()));
    co_await coro::sleep_for(find_again);
    if (life_.state() != sandbox_state::ready)
      co_return caf::unit;
  }
  auto& last = containers_[id].last;
  last.status = container_status::exited;
  last.health = container_health::none;
  last.error = "The container ended while no server was there";
  co_return caf::unit;
}

} // namespace sandy
