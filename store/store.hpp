#pragma once

#include "messages/agent.hpp"
#include "messages/connection.hpp"
#include "messages/events.hpp"
#include "messages/worker.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sandy {

/// What survives a crash about one sandbox. Written before the kernel object is made, removed after it is
/// gone.
struct sandbox_record {
  sandbox_info info;
  environment env;            ///< may hold secrets: the database file is readable by its owner only
  sandbox_secrets secrets;    ///< with their values, and the key of their authority
  std::uint32_t uid_slot = 0; ///< unique among records
  layer_id layer;             ///< what it was made from, above its image; empty: nothing
  std::vector<network_bound> network_bounds; ///< what its ancestors impose on its network
  std::uint64_t network_bytes = 0;           ///< that went through it, as of a while ago
};

/// What a sandbox wrote, kept: with a name, or only because something is made from it. The record is written
/// before there is anything on disk, and removed after that is gone.
struct layer_record {
  layer_id id;
  layer_id below;   ///< the layer under it; empty: none
  tenant_id tenant; ///< whose it is
  std::string name; ///< unique among the tenant's; empty: none
  sandbox_id maker; ///< the sandbox whose token asked for it; empty: the tenant itself
  sandbox_id source;
  std::uint64_t size_bytes = 0;
  unix_millis created_at = 0;
  bool complete = false;
};

/// A run of an agent. Written before its program starts, and again when it ends.
struct agent_run_record {
  sandbox_id sandbox;
  std::uint32_t process_id = 0; ///< inside; 0: not known
  agent_run_info info;
};

/// What a container runs, whenever it is started again.
struct container_program {
  std::vector<std::string> arguments;
  std::string user; ///< see process_spec
  environment env;  ///< may hold secrets: the database file is readable by its owner only
  std::uint32_t max_restarts = 0;
  /// That its sandbox asks the platform's services with; empty: the platform's own.
  std::string platform_key{};
};

/// A container. Written before the kernel object is made, removed after it is gone.
struct container_record {
  container_info info;
  container_program program;
};

/// An ended sandbox whose id still answers a repeated terminate.
struct tombstone {
  sandbox_id id;
  tenant_id tenant;
  end_reason reason = end_reason::none;
  unix_millis ended_at = 0;
  sandbox_id parent; ///< empty: none. Its children of the last hour are counted, dead ones too
  unix_millis created_at = 0;
};

/// The worker's truth, in SQLite with a write-ahead log. Blocking: call it on the store's own thread only.
/// A second server on the same file is refused. All functions fail with `internal` and SQLite's words.
class store {
public:
  /// Opens or creates the database and brings its schema up to date. @param path a file; its directory
  /// exists.
  static result<std::unique_ptr<store>> open(const std::string& path);
  virtual ~store() = default;

  /// Fails with conflict when the id or the uid slot is taken.
  virtual result<void> insert(const sandbox_record& record) = 0;
  /// State and lease only: what changes in a sandbox's life. Fails with sandbox_not_found.
  virtual result<void> update(const sandbox_id& id, sandbox_state state, unix_millis expires_at,
                              std::uint32_t ttl_seconds) = 0;
  /// Whether, and why, its processes stand still. Fails with sandbox_not_found.
  virtual result<void> set_paused(const sandbox_id& id, pause_cause cause) = 0;
  /// What it may reach. Fails with sandbox_not_found.
  virtual result<void> set_network(const sandbox_id& id, const network_policy& policy,
                                   const std::vector<network_bound>& bounds) = 0;
  /// What went through its network so far. Fails with sandbox_not_found.
  virtual result<void> set_network_bytes(const sandbox_id& id, std::uint64_t count) = 0;
  /// Everything but the id may be new: a warm sandbox gets its owner. Fails with sandbox_not_found.
  virtual result<void> replace(const sandbox_record& record) = 0;
  /// Removes the record, with its connections, runs and containers, and leaves a tombstone, in one
  /// transaction. Idempotent.
  virtual result<void> bury(const tombstone& stone) = 0;
  virtual result<std::vector<sandbox_record>> records() = 0;
  virtual result<std::vector<tombstone>> tombstones() = 0;
  /// Forgets tombstones older than this.
  virtual result<void> forget_tombstones(unix_millis before) = 0;

  /// Idempotent: the same two sandboxes have one connection, in one direction.
  virtual result<void> add_connection(const sandbox_connection& connection) = 0;
  virtual result<void> remove_connection(const sandbox_id& source, const sandbox_id& target) = 0;
  /// All of them, oldest first.
  virtual result<std::vector<sandbox_connection>> connections() = 0;

  /// One point of the machine's history; points older than 48 hours are forgotten.
  virtual result<void> add_sample(const resource_sample& sample) = 0;
  virtual result<std::vector<resource_sample>> samples(unix_millis since) = 0;

  /// Adds a layer, or replaces its record.
  virtual result<void> put_layer(const layer_record& record) = 0;
  /// Idempotent.
  virtual result<void> remove_layer(const layer_id& id) = 0;
  virtual result<std::vector<layer_record>> layers() = 0;

  /// Adds a run, or replaces its record; the oldest of its sandbox beyond `most_kept_runs` are forgotten, and
  /// its output is cut to its last `most_kept_output` bytes. Does nothing for a sandbox without a record.
  virtual result<void> put_run(const agent_run_record& record) = 0;
  /// Those of one sandbox, the newest first.
  virtual result<std::vector<agent_run_record>> runs(const sandbox_id& id) = 0;

  /// Adds a container, or replaces its record. Does nothing for a sandbox without a record.
  virtual result<void> put_container(const container_record& record) = 0;
  /// Idempotent.
  virtual result<void> remove_container(const container_id& id) = 0;
  /// Those of one sandbox, the oldest first.
  virtual result<std::vector<container_record>> containers(const sandbox_id& id) = 0;

  /// Adds numbered events and forgets all but the newest `most`, in one transaction.
  virtual result<void> add_events(const std::vector<life_event>& events, std::size_t most) = 0;
  /// All events that are kept, oldest first.
  virtual result<std::vector<life_event>> events() = 0;
  /// The number of the last event a webhook is done with; none for one that was never seen.
  virtual result<std::optional<std::uint64_t>> webhook_position(const std::string& name) = 0;
  virtual result<void> set_webhook_position(const std::string& name, std::uint64_t sequence) = 0;
};

} // namespace sandy
