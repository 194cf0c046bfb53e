#pragma once

#include "messages/sandbox.hpp"
#include "runtime/guest/activity.hpp"
#include "runtime/relay_door.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace sandy::runtime {

/// Makes a sandbox busy while it exists.
using guest_use = guest::activity::use;

enum class entrance_state : std::uint8_t {
  starting,
  open,
  asleep, ///< paused because nobody used it: the next use wakes it
  paused, ///< by a caller
  gone,
};

/// The way to the ports of one sandbox. Made by its actor, which alone changes the state; used by every
/// thread of the edge. Whoever leads something through takes a `use` first and looks at the state then: a
/// sandbox that falls asleep sets its state first and looks for uses then, so one sees the other.
struct entrance {
  sandbox_id id;
  tenant_id tenant;
  std::uint16_t runtime_port = 5173;        ///< of its public URL
  std::uint16_t artifact_port = 8787;       ///< where its own server for artifacts may be
  std::vector<std::uint16_t> exposed_ports; ///< reachable beside the runtime port
  std::vector<std::uint16_t> private_ports; ///< reachable with a signature only
  std::vector<std::uint16_t> own_ports;     ///< what listens there is ours, and takes us for the sandbox
  socket_maker sockets;                     ///< empty while starting
  std::shared_ptr<guest::activity> uses;
  std::atomic<entrance_state> state{entrance_state::starting};
};

/// Hears of entrances that change. Called by actors, on any thread, one call at a time.
class entrance_observer {
public:
  virtual ~entrance_observer() = default;
  /// There is a new one. Must not block for longer than a socket takes to be bound.
  virtual void entrance_opened(const entrance& opened) = 0;
  /// Its state is another: connections that wait to be reused are to be let go unless it is open, and every
  /// connection into it when it is gone. Its sockets keep the sandbox's network.
  virtual void entrance_changed(const entrance& changed) = 0;
};

/// What the edge sees of all entrances. Thread safe.
class entrance_directory {
public:
  virtual ~entrance_directory() = default;
  /// nullptr for an unknown one.
  virtual std::shared_ptr<entrance> find(const sandbox_id& id) const = 0;
  /// One observer at a time, before the first entrance is opened; nullptr: nobody any more.
  virtual void observe(entrance_observer* by) = 0;
};

/// The entrances of this machine's sandboxes. A look-up holds a lock for nanoseconds.
class entrances final : public entrance_directory {
public:
  std::shared_ptr<entrance> find(const sandbox_id& id) const override;
  void observe(entrance_observer* by) override;

  /// Adds one, or replaces that of the same sandbox: it gets its owner, or is ready.
  void open(std::shared_ptr<entrance> made);
  /// Nothing happens to an unknown one.
  void set_state(const sandbox_id& id, entrance_state state);
  /// It is gone from now on. Idempotent.
  void close(const sandbox_id& id);

private:
  std::mutex changing_; ///< held by who tells the observer
  entrance_observer* observer_ = nullptr;
  mutable std::mutex mutex_;
  std::unordered_map<sandbox_id, std::shared_ptr<entrance>> present_;
};

/// The port that a variable of a sandbox's environment names, else `usual`.
std::uint16_t port_from(const environment& variables, std::string_view name, std::uint16_t usual);

} // namespace sandy::runtime
