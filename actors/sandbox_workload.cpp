#include "actors/container.hpp"
#include "actors/container_program.hpp"
#include "actors/sandbox.hpp"
#include "coro/io.hpp"
#include "coro/request.hpp"

#include <algorithm>

namespace sandy {

// The program of the image that a sandbox was made from, where that image is none of the installation's
// bases: it is what the sandbox is for. Its actor is that of a container, which finds the sandbox itself
// where others find a container of their own; the driver holds nothing for it.

namespace {

using namespace std::chrono_literals;

constexpr auto begin_timeout = 5s;
/// Killed at once, and gone within seconds.
constexpr auto end_timeout = 20s;

/// Of the ports that the caller named, the first that a program inside can have.
std::uint16_t port_of(const std::vector<std::uint16_t>& named) {
  auto ours = [](std::uint16_t port) { return port == inside_port || port == model_port; };
  auto first = std::find_if_not(named.begin(), named.end(), ours);
  return first != named.end() ? *first : container_order{}.port;
}

} // namespace

/// What is to run, recorded before the sandbox is anybody's: so a server that is killed now starts it at its
/// next start. Nothing for what flavors are made of, for warm sandboxes, which all are that, for snapshots
/// and forks, which are files that somebody kept, and for images that name no program.
coro::task<std::shared_ptr<container_record>> sandbox_state_machine::plan_workload() {
  const auto none = std::shared_ptr<container_record>{};
  const auto& info = record_.info;
  const auto& flavors = env_.settings.flavors;
  if (!record_.layer.value.empty() || std::any_of(flavors.begin(), flavors.end(), [&](const auto& each) {
        return each.second.image == info.image;
      }))
    co_return none;
  auto about = co_await coro::blocking<runtime::image_program>(
      env_.kernel_calls, [&d = env_.driver, name = info.image] { return d.program_of(name); });
  if (!about && code_of(about.error()) == errc::feature_unavailable)
    co_return none;
  if (!about)
    co_return std::move(about.error());
  if (about->entrypoint.empty() && about->command.empty())
    co_return none;
  container_order order;
  order.env = secret_variables();
  order.env.insert(order.env.end(), record_.env.begin(), record_.env.end());
  auto record = std::make_shared<container_record>();
  auto& made = record->info;
  made.id = make_container_id();
  made.sandbox = info.id;
  made.image = info.image;
  made.workload = true;
  made.port = port_of(info.expose_ports);
  made.timeout_seconds = order.timeout_seconds;
  made.restart = order.restart;
  made.created_at = env_.wall_clock();
  auto program = program_for(order, *about, made.port, env_.settings.containers, env_.identity(info));
  if (!program)
    co_return std::move(program.error());
  record->program = std::move(*program);
  auto stored = co_await coro::blocking<void>(env_.store_calls,
                                              [&s = env_.store, r = *record] { return s.put_container(r); });
  if (!stored)
    co_return std::move(stored.error());
  auto& entry = containers_[made.id];
  entry.last = made;
  entry.making = true;
  co_return std::move(record);
}

/// Starts its program. When that cannot be done it is listed with the reason, and the sandbox is none the
/// worse.
coro::task<void> sandbox_state_machine::begin_workload(container_record record) {
  if (life_.state() != sandbox_state::ready)
    co_return caf::unit;
  const auto id = record.info.id;
  containers_.at(id).making = true;
  auto actor = open_container(std::move(record), *instance_, variables(), false).actor;
  auto started = co_await coro::request(actor, coro::infinite, start_container{});
  if (auto entry = containers_.find(id); entry != containers_.end())
    entry->second.making = false;
  if (!started && life_.state() == sandbox_state::ready)
    log("the program of its image does not run: " + text_of(started.error()));
  co_return caf::unit;
}

/// After a restart of the server: its program runs on, or what became of it is known to the guest.
coro::task<void> sandbox_state_machine::find_workload(container_record record) {
  if (record.info.process_id == 0) {
    if (record.info.status == container_status::creating) // it was not started yet
      coro::spawn(begin_workload(std::move(record)));
    co_return caf::unit; // else it could not be
  }
  auto actor = open_container(std::move(record), *instance_, variables(), true).actor;
  co_await coro::request(actor, begin_timeout, start_container{});
  co_return caf::unit;
}

/// Kills its program, with what that started and still belongs to it.
coro::task<void> sandbox_state_machine::end_workload(container_id id) {
  auto entry = containers_.find(id);
  if (entry == containers_.end() || !entry->second.actor)
    co_return caf::unit; // nothing runs
  auto actor = entry->second.actor;
  auto ended = co_await coro::request(actor, end_timeout, end_container{0});
  if (!ended && code_of(ended.error()) != errc::sandbox_ended) // its actor is gone: another removes it
    co_return std::move(ended.error());
  co_return caf::unit;
}

} // namespace sandy
