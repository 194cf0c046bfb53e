#include "actors/switchboard.hpp"

#include "coro/io.hpp"
#include "coro/offloaded.hpp"
#include "coro/timer.hpp"
#include "metrics/log.hpp"
#include "runtime/driver.hpp"
#include "runtime/guest/host_names.hpp"
#include "runtime/guest/local_data_plane.hpp"
#include "store/store.hpp"

#include <algorithm>
#include <tuple>

namespace sandy {

namespace {

using namespace std::chrono_literals;

/// 127.83.0.0/16: local in every sandbox, and nobody's by custom. The last but one is the door's own,
/// and some before it are the name server's (runtime/network_capture.hpp).
constexpr runtime::captured_range captured{0x7f530000, 0xffff0000, 0x7f53fffe, inside_port};
constexpr std::uint32_t most_addresses = captured.listener - captured.first - 256;
/// Writing a small file; a sandbox that takes longer is stuck or frozen.
constexpr auto names_timeout = 5s;
/// A door that is being closed still has its address for a moment.
constexpr auto door_pause = 50ms;
constexpr int door_tries = 20;

} // namespace

switchboard_state::switchboard_state(self_pointer, services* env)
    : env_(*env) {}

switchboard_actor::behavior_type switchboard_state::make_behavior() {
  return {
      [this](connect_sandboxes request) { return connect(std::move(request)); },
      [this](disconnect_sandboxes request) { return disconnect(std::move(request)); },
      [this](const list_connections& request) { return list(request.id); },
      [this](sandbox_left notice) { return left(std::move(notice)); },
      [this](restore_connections request) { return restore(std::move(request)); },
  };
}

// -- connecting
// ---------------------------------------------------------------------------------------------------------

caf::result<sandbox_connection> switchboard_state::connect(connect_sandboxes request) {
  auto from = side_of(request.id), to = side_of(request.target);
  auto turn = co_await from->turn.acquire();
  if (auto known = from->lines.find(request.target); known != from->lines.end()) {
    auto same = known->second.what;
    auto named = co_await write_names(from); // somebody may have edited the name away
    if (!named)
      co_return std::move(named.error());
    co_return same;
  }
  auto wanted = plan(*from, request.target);
  if (!wanted)
    co_return std::move(wanted.error());
  auto joined = co_await join(from, to, *wanted, false);
  if (!joined)
    co_return std::move(joined.error());
  log_event(log_level::info, "connected",
            {{"sandbox_id", request.id.value}, {"target", request.target.value}});
  co_return std::move(wanted);
}

switchboard_state::side switchboard_state::side_of(const sandbox_id& owner) {
  auto& known = sides_[owner];
  if (!known) {
    known = std::make_shared<panel>();
    known->owner = owner;
  }
  return known;
}

result<sandbox_connection> switchboard_state::plan(const panel& from, const sandbox_id& target) const {
  const auto most = std::min(env_.settings.max_connections, most_addresses);
  if (from.lines.size() >= most)
    return fail(errc::limit_reached, "The sandbox is connected to " + std::to_string(most) +
                                         " others, which is the most; disconnect one first");
  auto taken = [&](std::uint32_t address) {
    return std::any_of(from.lines.begin(), from.lines.end(),
                       [=](const auto& each) { return each.second.what.address == address; });
  };
  auto address = captured.first + 1;
  while (taken(address))
    ++address;
  return sandbox_connection{from.owner, target, address, env_.wall_clock()};
}

coro::task<void> switchboard_state::join(side from, side to, sandbox_connection wanted, bool named) {
  if (from->gone || to->gone)
    co_return no_such_sandbox();
  from->lines[wanted.target] = {wanted};
  auto opened = co_await open(from, to, wanted, named);
  if (opened)
    co_return caf::unit;
  from->lines.erase(wanted.target);
  co_await remove_record(wanted.source, wanted.target);
  co_await cut(from, wanted.address);
  co_await tidy(from);
  co_return std::move(opened);
}

coro::task<void> switchboard_state::open(side from, side to, sandbox_connection wanted, bool named) {
  auto stored = co_await coro::blocking<void>(env_.store_calls,
                                              [&s = env_.store, wanted] { return s.add_connection(wanted); });
  if (!stored)
    co_return std::move(stored.error());
  auto target = co_await find_running(wanted.target);
  if (!target)
    co_return std::move(target.error());
  auto through = co_await open_door(from);
  if (!through)
    co_return std::move(through.error());
  if (from->gone || to->gone)
    co_return no_such_sandbox();
  // In one step with the question: the cut for whoever ends from now on reaches the door after this.
  from->door->post([door = from->door, address = wanted.address, to = target_of(wanted.target, *target)] {
    door->open(address, to);
  });
  if (!named) {
    auto written = co_await write_names(from);
    if (!written)
      co_return std::move(written.error());
    if (from->gone || to->gone)
      co_return no_such_sandbox();
  }
  from->lines[wanted.target].open = true;
  co_return caf::unit;
}

coro::task<void> switchboard_state::open_door(side from) {
  if (from->door)
    co_return caf::unit;
  if (!env_.open_relay)
    co_return fail(errc::feature_unavailable, "Sandboxes cannot be connected here");
  auto where = co_await find_running(from->owner);
  if (!where)
    co_return std::move(where.error());
  using shared_capture = std::shared_ptr<runtime::connection_capture>;
  for (int tries = 1;; ++tries) {
    auto made = co_await coro::blocking<shared_capture>(
        env_.kernel_calls, [&d = env_.driver, at = *where]() -> result<shared_capture> {
          auto sockets = d.capture(*at, captured);
          if (!sockets)
            return std::move(sockets.error());
          return std::make_shared<runtime::connection_capture>(std::move(*sockets));
        });
    if (made && from->gone)
      co_return no_such_sandbox();
    if (made) {
      from->door = env_.open_relay(std::move(**made), from->owner);
      if (!from->door)
        co_return fail(errc::internal, "The sandbox's connections cannot be relayed");
      co_return caf::unit;
    }
    if (code_of(made.error()) != errc::conflict || tries == door_tries)
      co_return std::move(made.error());
    co_await coro::sleep_for(door_pause);
  }
}

coro::task<std::shared_ptr<runtime::instance>> switchboard_state::find_running(sandbox_id id) {
  auto found = co_await coro::blocking<std::shared_ptr<runtime::instance>>(
      env_.kernel_calls, [&d = env_.driver, id]() -> result<std::shared_ptr<runtime::instance>> {
        auto instance = d.attach(id);
        if (!instance)
          return std::move(instance.error());
        return std::make_shared<runtime::instance>(std::move(*instance));
      });
  if (!found && code_of(found.error()) == errc::sandbox_not_found)
    co_return no_such_sandbox();
  co_return std::move(found);
}

/// Holds the sandbox's first process by a descriptor, which does not keep its network. It is busy while
/// somebody is connected to it.
runtime::relay_target switchboard_state::target_of(const sandbox_id& id,
                                                   std::shared_ptr<runtime::instance> where) const {
  auto sockets = [&driver = env_.driver, threads = env_.kernel_calls, where](int family) {
    return coro::offloaded<runtime::unique_fd>(
        threads, [&driver, where, family] { return driver.open_socket(*where, family); });
  };
  auto use = [uses = env_.data.uses_of(id)]() -> std::shared_ptr<void> {
    return uses ? std::make_shared<guest::activity::use>(uses) : nullptr;
  };
  return {std::move(sockets), std::move(use), inside_port};
}

std::vector<sandbox_connection> switchboard_state::list(const sandbox_id& id) const {
  std::vector<sandbox_connection> found;
  for (const auto& [owner, panel] : sides_)
    for (const auto& [target, each] : panel->lines)
      if (each.open && (owner == id || target == id))
        found.push_back(each.what);
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return std::tie(a.created_at, a.source, a.target) < std::tie(b.created_at, b.source, b.target);
  });
  return found;
}

// -- ending
// -----------------------------------------------------------------------------------------------------------

caf::result<void> switchboard_state::disconnect(disconnect_sandboxes request) {
  auto known = sides_.find(request.id);
  if (known == sides_.end())
    co_return caf::unit;
  auto from = known->second;
  auto turn = co_await from->turn.acquire();
  auto found = from->lines.find(request.target);
  if (found == from->lines.end())
    co_return caf::unit;
  auto old = found->second.what;
  auto removed = co_await remove_record(old.source, old.target);
  if (!removed) // it would be back after a restart: do not promise that it is gone
    co_return std::move(removed.error());
  from->lines.erase(old.target);
  co_await cut(from, old.address);
  co_await tidy(from);
  log_event(log_level::info, "disconnected",
            {{"sandbox_id", request.id.value}, {"target", request.target.value}});
  co_return caf::unit;
}

caf::result<void> switchboard_state::left(sandbox_left notice) {
  auto known = sides_.find(notice.id);
  if (known == sides_.end())
    co_return caf::unit;
  auto own = known->second;
  sides_.erase(known);
  own->gone = true;
  own->lines.clear();
  std::vector<coro::task<void>> ends;
  ends.push_back(close_door(own));
  std::vector<side> reached_it;
  for (const auto& each : sides_)
    if (auto found = each.second->lines.find(notice.id); found != each.second->lines.end()) {
      ends.push_back(cut(each.second, found->second.what.address));
      each.second->lines.erase(found);
      reached_it.push_back(each.second);
    }
  co_await coro::when_all(std::move(ends));
  for (auto& each : reached_it)
    coro::spawn(tidy_in_turn(std::move(each)));
  auto turn = co_await own->turn.acquire(); // what was half made has seen its end, and has let go
  co_return caf::unit;
}

coro::task<void> switchboard_state::cut(side from, std::uint32_t address) {
  if (!from->door)
    co_return caf::unit;
  auto door = from->door;
  coro::offload there = [door](std::function<void()> work) { door->post(std::move(work)); };
  auto done = co_await coro::blocking<void>(there, [door, address]() -> result<void> {
    door->cut(address);
    return caf::unit;
  });
  co_return std::move(done);
}

coro::task<void> switchboard_state::close_door(side of) {
  auto door = std::exchange(of->door, nullptr);
  if (!door)
    co_return caf::unit;
  coro::offload there = [door](std::function<void()> work) { door->post(std::move(work)); };
  auto done = co_await coro::blocking<void>(there, [door]() -> result<void> {
    door->close();
    return caf::unit;
  });
  co_return std::move(done);
}

coro::task<void> switchboard_state::write_names(side of) {
  std::vector<guest::host_name> names;
  for (const auto& [target, each] : of->lines)
    names.push_back({each.what.address, target.value});
  auto written = co_await coro::with_timeout<void>(names_timeout, env_.name_hosts(of->owner, names));
  if (written || code_of(written.error()) != errc::deadline_exceeded)
    co_return std::move(written);
  co_return fail(errc::deadline_exceeded, "The sandbox's /etc/hosts could not be written in time");
}

coro::task<void> switchboard_state::tidy(side of) {
  if (of->gone)
    co_return caf::unit;
  if (of->lines.empty())
    co_await close_door(of);
  auto named = co_await write_names(of);
  if (!named && !of->gone) // the next change writes all of them
    log_event(log_level::warn, "names_not_written",
              {{"sandbox_id", of->owner.value}, {"error", text_of(named.error())}});
  co_return caf::unit;
}

coro::task<void> switchboard_state::tidy_in_turn(side of) {
  auto turn = co_await of->turn.acquire();
  co_await tidy(of);
  co_return caf::unit;
}

coro::task<void> switchboard_state::remove_record(sandbox_id source, sandbox_id target) {
  auto removed = co_await coro::blocking<void>(
      env_.store_calls, [&s = env_.store, source, target] { return s.remove_connection(source, target); });
  co_return std::move(removed);
}

// -- recovery
// ---------------------------------------------------------------------------------------------------------

caf::result<void> switchboard_state::restore(restore_connections request) {
  std::map<sandbox_id, side> living; // as of now: who leaves while the store is read is gone
  for (const auto& id : request.living)
    living.emplace(id, side_of(id));
  auto stored = co_await coro::blocking<std::vector<sandbox_connection>>(
      env_.store_calls, [&s = env_.store] { return s.connections(); });
  if (!stored)
    co_return std::move(stored.error());
  std::vector<coro::task<void>> work;
  for (const auto& each : *stored) {
    auto from = living.find(each.source), to = living.find(each.target);
    if (from != living.end() && to != living.end())
      work.push_back(open_again(from->second, to->second, each));
    else
      work.push_back(remove_record(each.source, each.target));
  }
  co_await coro::when_all(std::move(work));
  co_return caf::unit;
}

coro::task<void> switchboard_state::open_again(side from, side to, sandbox_connection stored) {
  auto turn = co_await from->turn.acquire();
  if (from->lines.contains(stored.target))
    co_return caf::unit;
  // Its file was written before; a sandbox that is frozen now could not write it.
  auto joined = co_await join(from, to, stored, true);
  if (!joined)
    log_event(log_level::warn, "connection_lost",
              {{"sandbox_id", stored.source.value},
               {"target", stored.target.value},
               {"error", text_of(joined.error())}});
  co_return caf::unit;
}

} // namespace sandy
