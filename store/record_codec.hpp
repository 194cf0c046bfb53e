#pragma once

#include "store/store.hpp"

namespace SQLite {
class Statement;
}

namespace sandy {

/// The columns of a record, in the order that `bind_record` and `read_record` use.
inline constexpr const char* record_columns =
    "id, uid_slot, tenant, state, flavor, image, memory_bytes, cpu_millis, pids, disk_bytes, priority, "
    "preemptable, "
    "expose_ports, upstream, workdir, env, created_at, expires_at, ttl_seconds, parent, "
    "idle_timeout_seconds, pause_on_idle, paused, layer, network, network_bytes, private_ports, secrets, "
    "runtime, docker_socket";
inline constexpr int record_column_count = 30;

/// Binds all columns from parameter 1 on. @throws nlohmann::json::exception when a variable of the
/// environment is not UTF-8.
void bind_record(SQLite::Statement& statement, const sandbox_record& record);

/// What one column says of a sandbox's network.
std::string network_text(const network_policy& policy, const std::vector<network_bound>& bounds);

/// The record of the current row. @throws std::runtime_error for values that no server writes: the file was
/// damaged.
sandbox_record read_record(SQLite::Statement& row);

/// A row of (id, tenant, reason, ended_at, parent, created_at). @throws as `read_record`.
tombstone read_tombstone(SQLite::Statement& row);

} // namespace sandy
