#include "store/schema.hpp"

#include <SQLiteCpp/Column.h>
#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Transaction.h>

#include <stdexcept>
#include <string>

namespace sandy {

namespace {

// Times are milliseconds since the Unix epoch. expose_ports, env and files are JSON arrays: nobody searches
// in them.
constexpr const char* steps[]{R"sql(
CREATE TABLE sandboxes (
  id TEXT PRIMARY KEY,
  uid_slot INTEGER NOT NULL UNIQUE,
  tenant TEXT NOT NULL,
  state INTEGER NOT NULL,
  flavor TEXT NOT NULL,
  image TEXT NOT NULL,
  memory_bytes INTEGER NOT NULL,
  cpu_millis INTEGER NOT NULL,
  pids INTEGER NOT NULL,
  disk_bytes INTEGER NOT NULL,
  priority INTEGER NOT NULL,
  preemptable INTEGER NOT NULL,
  expose_ports TEXT NOT NULL,
  upstream TEXT NOT NULL,
  workdir TEXT NOT NULL,
  env TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  ttl_seconds INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tombstones (
  id TEXT PRIMARY KEY,
  tenant TEXT NOT NULL,
  reason INTEGER NOT NULL,
  ended_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tombstones_by_end ON tombstones (ended_at);

CREATE TABLE samples (
  timestamp INTEGER PRIMARY KEY,
  cpu_ratio REAL NOT NULL,
  memory_ratio REAL NOT NULL,
  disk_ratio REAL NOT NULL
) STRICT;
)sql",
                              R"sql(
ALTER TABLE sandboxes ADD COLUMN parent TEXT NOT NULL DEFAULT '';
ALTER TABLE tombstones ADD COLUMN parent TEXT NOT NULL DEFAULT '';
ALTER TABLE tombstones ADD COLUMN created_at INTEGER NOT NULL DEFAULT 0;
)sql",
                              R"sql(
CREATE TABLE events (
  sequence INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  tenant TEXT NOT NULL,
  sandbox TEXT NOT NULL,
  parent TEXT NOT NULL,
  type INTEGER NOT NULL,
  reason INTEGER NOT NULL
) STRICT;

CREATE TABLE webhooks (
  name TEXT PRIMARY KEY,
  sequence INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
)sql",
                              R"sql(
ALTER TABLE sandboxes ADD COLUMN idle_timeout_seconds INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sandboxes ADD COLUMN pause_on_idle INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sandboxes ADD COLUMN paused INTEGER NOT NULL DEFAULT 0;
)sql",
                              R"sql(
CREATE TABLE connections (
  source TEXT NOT NULL,
  target TEXT NOT NULL,
  address INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (source, target)
) STRICT, WITHOUT ROWID;
CREATE INDEX connections_by_target ON connections (target);
)sql",
                              R"sql(
ALTER TABLE sandboxes ADD COLUMN layer TEXT NOT NULL DEFAULT '';

CREATE TABLE layers (
  id TEXT PRIMARY KEY,
  below TEXT NOT NULL,
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  maker TEXT NOT NULL,
  source TEXT NOT NULL,
  size_bytes INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  complete INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX layers_by_name ON layers (tenant, name) WHERE name <> '';
)sql",
                              R"sql(
ALTER TABLE sandboxes ADD COLUMN network TEXT NOT NULL DEFAULT '';
ALTER TABLE sandboxes ADD COLUMN network_bytes INTEGER NOT NULL DEFAULT 0;
)sql",
                              R"sql(
ALTER TABLE sandboxes ADD COLUMN private_ports TEXT NOT NULL DEFAULT '[]';
)sql",
                              R"sql(
CREATE TABLE agent_runs (
  id TEXT PRIMARY KEY,
  sandbox TEXT NOT NULL,
  process INTEGER NOT NULL,
  agent TEXT NOT NULL,
  model TEXT NOT NULL,
  status INTEGER NOT NULL,
  started_at INTEGER NOT NULL,
  ended_at INTEGER NOT NULL,
  exit_code INTEGER NOT NULL,
  session TEXT NOT NULL,
  steps INTEGER NOT NULL,
  files TEXT NOT NULL,
  output TEXT NOT NULL,
  error TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX agent_runs_by_sandbox ON agent_runs (sandbox, started_at);
)sql",
                              R"sql(
ALTER TABLE sandboxes ADD COLUMN secrets TEXT NOT NULL DEFAULT '';
)sql",
                              R"sql(
ALTER TABLE sandboxes ADD COLUMN runtime TEXT NOT NULL DEFAULT 'crun';
ALTER TABLE sandboxes ADD COLUMN docker_socket INTEGER NOT NULL DEFAULT 0;
)sql",
                              R"sql(
CREATE TABLE containers (
  id TEXT PRIMARY KEY,
  sandbox TEXT NOT NULL,
  image TEXT NOT NULL,
  name TEXT NOT NULL,
  port INTEGER NOT NULL,
  status INTEGER NOT NULL,
  timeout_seconds INTEGER NOT NULL,
  restart INTEGER NOT NULL,
  restarts INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  started_at INTEGER NOT NULL,
  ended_at INTEGER NOT NULL,
  exit_code INTEGER NOT NULL,
  process INTEGER NOT NULL,
  error TEXT NOT NULL,
  program TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX containers_by_sandbox ON containers (sandbox, created_at);
)sql",
                              R"sql(
ALTER TABLE containers ADD COLUMN workload INTEGER NOT NULL DEFAULT 0;
)sql"};

} // namespace

std::span<const char* const> schema_steps() { return steps; }

void migrate(SQLite::Database& database, std::span<const char* const> all) {
  auto version = database.execAndGet("PRAGMA user_version").getInt64();
  if (version < 0 || version > static_cast<std::int64_t>(all.size()))
    throw std::runtime_error("schema version " + std::to_string(version) +
                             " was written by a newer server; this one knows " + std::to_string(all.size()));
  for (auto next = static_cast<std::size_t>(version); next < all.size(); ++next) {
    SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
    database.exec(all[next]);
    database.exec("PRAGMA user_version = " + std::to_string(next + 1));
    transaction.commit();
  }
}

} // namespace sandy
