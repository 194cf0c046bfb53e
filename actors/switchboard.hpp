#pragma once

#include "actors/services.hpp"
#include "coro/actor.hpp"
#include "coro/sync.hpp"
#include "coro/task.hpp"
#include "messages/connection.hpp"
#include "runtime/relay_door.hpp"

#include <map>
#include <memory>

namespace sandy {

namespace runtime {
struct instance;
}

/// State of the switchboard: which sandboxes reach which others.
///
/// A sandbox that reaches others has a door: its connections to addresses 127.83.x.y, whatever the port, are
/// captured and relayed to the same port of the sandbox that the address stands for, and its /etc/hosts has
/// the other's id for that address. Spawned and monitored by the worker, which tells it in time who ends,
/// asks on behalf of callers that it knows, and never connects what has ended. A connection is stored before
/// it is opened; a switchboard that starts again opens the stored ones.
class switchboard_state {
public:
  static inline const char* name = "switchboard";
  using self_pointer = coro::actor<switchboard_state, switchboard_actor>*;

  switchboard_state(self_pointer self, services* env);
  switchboard_actor::behavior_type make_behavior();

private:
  /// Where one sandbox reaches others from.
  struct line {
    sandbox_connection what;
    bool open = false; ///< else half made
  };
  /// One living sandbox. Shared: what works on it for several steps finds there that it has ended meanwhile.
  struct panel {
    sandbox_id owner;
    coro::semaphore turn{1};                   ///< held by who changes what follows, over several steps
    std::shared_ptr<runtime::relay_door> door; ///< while there are lines
    std::map<sandbox_id, line> lines;          ///< what it reaches
    bool gone = false;
  };
  using side = std::shared_ptr<panel>;

  caf::result<sandbox_connection> connect(connect_sandboxes request);
  caf::result<void> disconnect(disconnect_sandboxes request);
  std::vector<sandbox_connection> list(const sandbox_id& id) const;
  caf::result<void> left(sandbox_left notice);
  caf::result<void> restore(restore_connections request);

  side side_of(const sandbox_id& owner);
  result<sandbox_connection> plan(const panel& from, const sandbox_id& target) const;
  /// Opens a connection; leaves nothing of it when it fails. With the turn of `from`.
  coro::task<void> join(side from, side to, sandbox_connection wanted, bool named);
  /// @param named its name is in the sandbox's /etc/hosts already.
  coro::task<void> open(side from, side to, sandbox_connection wanted, bool named);
  coro::task<void> open_door(side from);
  coro::task<void> open_again(side from, side to, sandbox_connection stored);
  coro::task<void> write_names(side of);
  /// What follows when a line is gone: its name goes, and after the last line the door. With the turn.
  coro::task<void> tidy(side of);
  coro::task<void> tidy_in_turn(side of);
  coro::task<void> cut(side from, std::uint32_t address);
  coro::task<void> close_door(side of);
  coro::task<std::shared_ptr<runtime::instance>> find_running(sandbox_id id);
  coro::task<void> remove_record(sandbox_id source, sandbox_id target);
  runtime::relay_target target_of(const sandbox_id& id, std::shared_ptr<runtime::instance> where) const;

  services& env_;
  std::map<sandbox_id, side> sides_; ///< those that were ever named in a connection, until they leave
};

} // namespace sandy
