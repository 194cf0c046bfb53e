#include "store/agent_run_table.hpp"
#include "store/connection_table.hpp"
#include "store/container_table.hpp"
#include "store/event_table.hpp"
#include "store/file_lock.hpp"
#include "store/layer_table.hpp"
#include "store/record_codec.hpp"
#include "store/running_statement.hpp"
#include "store/schema.hpp"
#include "store/store.hpp"

#include <SQLiteCpp/Column.h>
#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>
#include <SQLiteCpp/Transaction.h>
#include <sqlite3.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

namespace sandy {

namespace {

/// An operator's backup or query may hold the file for a moment; beyond that something is wrong.
constexpr int busy_timeout_ms = 5000;

/// What `get_timeseries` can ask for.
constexpr unix_millis sample_history_ms = 48ll * 3600 * 1000;

/// Makes sure that the file exists and is its owner's alone, before SQLite writes a byte to it. SQLite gives
/// the log the same mode.
result<void> make_private_file(const std::string& path) {
  int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0)
    return fail(errc::internal, "Cannot open the database " + path + ": " + std::strerror(errno));
  int failed = ::fchmod(fd, 0600) < 0 ? errno : 0;
  ::close(fd);
  if (failed)
    return fail(errc::internal, "Cannot make the database " + path + " private: " + std::strerror(failed));
  return caf::unit;
}

class sqlite_store final : public store {
public:
  sqlite_store(const std::string& path, file_lock lock)
      : lock_(std::move(lock))
      , database_(open_database(path))
      , insert_(database_,
                std::string("INSERT INTO sandboxes (") + record_columns + ") VALUES (" + parameters() + ")")
      , update_(database_, "UPDATE sandboxes SET state = ?2, expires_at = ?3, ttl_seconds = ?4 WHERE id = ?1")
      , set_paused_(database_, "UPDATE sandboxes SET paused = ?2 WHERE id = ?1")
      , set_network_(database_, "UPDATE sandboxes SET network = ?2 WHERE id = ?1")
      , set_network_bytes_(database_, "UPDATE sandboxes SET network_bytes = ?2 WHERE id = ?1")
      , replace_(database_, std::string("UPDATE sandboxes SET (") + record_columns + ") = (" + parameters() +
                                ") WHERE id = ?1")
      , remove_(database_, "DELETE FROM sandboxes WHERE id = ?1 RETURNING secrets <> ''")
      , records_(database_,
                 std::string("SELECT ") + record_columns + " FROM sandboxes ORDER BY created_at, id")
      , bury_(database_, "INSERT INTO tombstones (id, tenant, reason, ended_at, parent, created_at) "
                         "VALUES (?1, ?2, ?3, ?4, ?5, ?6) "
                         "ON CONFLICT DO NOTHING")
      , tombstones_(
            database_,
            "SELECT id, tenant, reason, ended_at, parent, created_at FROM tombstones ORDER BY ended_at, id")
      , forget_(database_, "DELETE FROM tombstones WHERE ended_at < ?1")
      , add_sample_(database_,
                    "INSERT OR REPLACE INTO samples (timestamp, cpu_ratio, memory_ratio, disk_ratio) "
                    "VALUES (?1, ?2, ?3, ?4)")
      , forget_samples_(database_, "DELETE FROM samples WHERE timestamp < ?1")
      , samples_(database_,
                 "SELECT timestamp, cpu_ratio, memory_ratio, disk_ratio FROM samples WHERE timestamp >= ?1 "
                 "ORDER BY timestamp")
      , events_(database_)
      , connections_(database_)
      , layers_(database_)
      , runs_(database_)
      , containers_(database_) {}

  result<void> insert(const sandbox_record& record) override {
    try {
      running statement(insert_);
      bind_record(*statement, record);
      statement->exec();
      return caf::unit;
    } catch (const SQLite::Exception& failed) {
      if (failed.getErrorCode() == SQLITE_CONSTRAINT)
        return fail(errc::conflict,
                    "The id or the uid slot of sandbox " + record.info.id.value + " is taken");
      return failure("record a sandbox", failed);
    } catch (const std::exception& failed) {
      return failure("record a sandbox", failed);
    }
  }

  result<void> update(const sandbox_id& id, sandbox_state state, unix_millis expires_at,
                      std::uint32_t ttl_seconds) override {
    return guarded("update a sandbox's record", [&]() -> result<void> {
      running statement(update_);
      statement->bind(1, id.value);
      statement->bind(2, static_cast<std::int64_t>(state));
      statement->bind(3, static_cast<std::int64_t>(expires_at));
      statement->bind(4, static_cast<std::int64_t>(ttl_seconds));
      if (statement->exec() == 0)
        return fail(errc::sandbox_not_found, "Sandbox not found");
      return caf::unit;
    });
  }

  result<void> set_paused(const sandbox_id& id, pause_cause cause) override {
    return guarded("update a sandbox's record", [&]() -> result<void> {
      running statement(set_paused_);
      statement->bind(1, id.value);
      statement->bind(2, static_cast<std::int64_t>(cause));
      if (statement->exec() == 0)
        return fail(errc::sandbox_not_found, "Sandbox not found");
      return caf::unit;
    });
  }

  result<void> set_network(const sandbox_id& id, const network_policy& policy,
                           const std::vector<network_bound>& bounds) override {
    return guarded("update a sandbox's record", [&]() -> result<void> {
      running statement(set_network_);
      statement->bind(1, id.value);
      statement->bind(2, network_text(policy, bounds));
      if (statement->exec() == 0)
        return fail(errc::sandbox_not_found, "Sandbox not found");
      return caf::unit;
    });
  }

  result<void> set_network_bytes(const sandbox_id& id, std::uint64_t count) override {
    return guarded("update a sandbox's record", [&]() -> result<void> {
      running statement(set_network_bytes_);
      statement->bind(1, id.value);
      statement->bind(2, static_cast<std::int64_t>(count));
      if (statement->exec() == 0)
        return fail(errc::sandbox_not_found, "Sandbox not found");
      return caf::unit;
    });
  }

  result<void> replace(const sandbox_record& record) override {
    return guarded("update a sandbox's record", [&]() -> result<void> {
      running statement(replace_);
      bind_record(*statement, record);
      if (statement->exec() == 0)
        return fail(errc::sandbox_not_found, "Sandbox not found");
      return caf::unit;
    });
  }

  result<void> bury(const tombstone& stone) override {
    return guarded("remove a sandbox's record", [&]() -> result<void> {
      SQLite::Transaction transaction(database_, SQLite::TransactionBehavior::IMMEDIATE);
      {
        running statement(remove_);
        statement->bind(1, stone.id.value);
        while (statement->executeStep())
          secrets_in_log_ = secrets_in_log_ || statement->getColumn(0).getInt() != 0;
      }
      connections_.remove_all(stone.id);
      runs_.remove_all(stone.id);
      secrets_in_log_ |= containers_.remove_all(stone.id);
      {
        running statement(bury_);
        statement->bind(1, stone.id.value);
        statement->bind(2, stone.tenant.value);
        statement->bind(3, static_cast<std::int64_t>(stone.reason));
        statement->bind(4, static_cast<std::int64_t>(stone.ended_at));
        statement->bind(5, stone.parent.value);
        statement->bind(6, static_cast<std::int64_t>(stone.created_at));
        statement->exec();
      }
      transaction.commit();
      if (secrets_in_log_)
        secrets_in_log_ = !empty_log(database_);
      return caf::unit;
    });
  }

  result<std::vector<sandbox_record>> records() override {
    return guarded("read the records", [&]() -> result<std::vector<sandbox_record>> {
      std::vector<sandbox_record> all;
      running statement(records_);
      while (statement->executeStep())
        all.push_back(read_record(*statement));
      return all;
    });
  }

  result<std::vector<tombstone>> tombstones() override {
    return guarded("read the tombstones", [&]() -> result<std::vector<tombstone>> {
      std::vector<tombstone> all;
      running statement(tombstones_);
      while (statement->executeStep())
        all.push_back(read_tombstone(*statement));
      return all;
    });
  }

  result<void> forget_tombstones(unix_millis before) override {
    return guarded("forget tombstones", [&]() -> result<void> {
      running statement(forget_);
      statement->bind(1, static_cast<std::int64_t>(before));
      statement->exec();
      return caf::unit;
    });
  }

  result<void> add_connection(const sandbox_connection& connection) override {
    return guarded("record a connection", [&]() -> result<void> {
      connections_.add(connection);
      return caf::unit;
    });
  }

  result<void> remove_connection(const sandbox_id& source, const sandbox_id& target) override {
    return guarded("remove a connection", [&]() -> result<void> {
      connections_.remove(source, target);
      return caf::unit;
    });
  }

  result<std::vector<sandbox_connection>> connections() override {
    return guarded("read the connections",
                   [&]() -> result<std::vector<sandbox_connection>> { return connections_.all(); });
  }

  result<void> add_sample(const resource_sample& sample) override {
    return guarded("record a sample", [&]() -> result<void> {
      SQLite::Transaction transaction(database_, SQLite::TransactionBehavior::IMMEDIATE);
      {
        running statement(add_sample_);
        statement->bind(1, static_cast<std::int64_t>(sample.timestamp));
        statement->bind(2, sample.cpu_ratio);
        statement->bind(3, sample.memory_ratio);
        statement->bind(4, sample.disk_ratio);
        statement->exec();
      }
      {
        running statement(forget_samples_);
        statement->bind(1, static_cast<std::int64_t>(sample.timestamp - sample_history_ms));
        statement->exec();
      }
      transaction.commit();
      return caf::unit;
    });
  }

  result<std::vector<resource_sample>> samples(unix_millis since) override {
    return guarded("read the samples", [&]() -> result<std::vector<resource_sample>> {
      std::vector<resource_sample> all;
      running statement(samples_);
      statement->bind(1, static_cast<std::int64_t>(since));
      while (statement->executeStep())
        all.push_back({statement->getColumn(0).getInt64(), statement->getColumn(1).getDouble(),
                       statement->getColumn(2).getDouble(), statement->getColumn(3).getDouble()});
      return all;
    });
  }

  result<void> put_layer(const layer_record& record) override {
    return guarded("record a layer", [&]() -> result<void> {
      layers_.put(record);
      return caf::unit;
    });
  }

  result<void> remove_layer(const layer_id& id) override {
    return guarded("remove a layer's record", [&]() -> result<void> {
      layers_.remove(id);
      return caf::unit;
    });
  }

  result<std::vector<layer_record>> layers() override {
    return guarded("read the layers", [&]() -> result<std::vector<layer_record>> { return layers_.all(); });
  }

  result<void> put_run(const agent_run_record& record) override {
    return guarded("record a run of an agent", [&]() -> result<void> {
      runs_.put(record);
      return caf::unit;
    });
  }

  result<std::vector<agent_run_record>> runs(const sandbox_id& id) override {
    return guarded("read the runs of agents",
                   [&]() -> result<std::vector<agent_run_record>> { return runs_.of(id); });
  }

  result<void> put_container(const container_record& record) override {
    return guarded("record a container", [&]() -> result<void> {
      containers_.put(record);
      return caf::unit;
    });
  }

  result<void> remove_container(const container_id& id) override {
    return guarded("remove a container's record", [&]() -> result<void> {
      if (containers_.remove(id)) // with what it was given
        secrets_in_log_ = !empty_log(database_);
      return caf::unit;
    });
  }

  result<std::vector<container_record>> containers(const sandbox_id& id) override {
    return guarded("read the containers",
                   [&]() -> result<std::vector<container_record>> { return containers_.of(id); });
  }

  result<void> add_events(const std::vector<life_event>& events, std::size_t most) override {
    return guarded("record events", [&]() -> result<void> {
      events_.add(events, most);
      return caf::unit;
    });
  }

  result<std::vector<life_event>> events() override {
    return guarded("read the events", [&]() -> result<std::vector<life_event>> { return events_.all(); });
  }

  result<std::optional<std::uint64_t>> webhook_position(const std::string& name) override {
    return guarded("read a webhook's position",
                   [&]() -> result<std::optional<std::uint64_t>> { return events_.position(name); });
  }

  result<void> set_webhook_position(const std::string& name, std::uint64_t sequence) override {
    return guarded("record a webhook's position", [&]() -> result<void> {
      events_.set_position(name, sequence);
      return caf::unit;
    });
  }

private:
  static SQLite::Database open_database(const std::string& path) {
    SQLite::Database database(path, SQLite::OPEN_READWRITE, busy_timeout_ms);
    // WAL with NORMAL: a killed server loses nothing; a power cut may lose the last transactions, whole ones,
    // and with them the sandboxes they speak of. The normal locking mode lets an operator look into the file
    // of a running server.
    database.exec("PRAGMA journal_mode = WAL");
    database.exec("PRAGMA synchronous = NORMAL");
    database.exec("PRAGMA journal_size_limit = 4194304");
    database.exec("PRAGMA secure_delete = ON"); // what sandboxes were given goes with them
    migrate(database, schema_steps());
    empty_log(database); // of a server that was killed
    return database;
  }

  /// Moves the log into the database and leaves nothing in it. Does not wait for others who read the
  /// database. @returns false when one of them still needs it.
  static bool empty_log(SQLite::Database& database) {
    database.setBusyTimeout(0);
    auto done = false;
    try {
      SQLite::Statement checkpoint(database, "PRAGMA wal_checkpoint(TRUNCATE)");
      done = checkpoint.executeStep() && checkpoint.getColumn(0).getInt() == 0;
    } catch (const SQLite::Exception&) { // nothing is lost but time
    }
    database.setBusyTimeout(busy_timeout_ms);
    return done;
  }

  static std::string parameters() {
    std::string marks = "?";
    for (int i = 1; i < record_column_count; ++i)
      marks += ", ?";
    return marks;
  }

  static caf::error failure(const char* what, const std::exception& failed) {
    return fail(errc::internal, std::string("Cannot ") + what + ": " + failed.what());
  }

  template <class Function>
  static std::invoke_result_t<Function> guarded(const char* what, Function function) {
    try {
      return function();
    } catch (const std::exception& failed) { // SQLite's words, or those of a damaged row
      return failure(what, failed);
    }
  }

  file_lock lock_; // first, so released last: after the database is closed
  SQLite::Database database_;
  bool secrets_in_log_ = false; ///< of sandboxes that are gone
  SQLite::Statement insert_, update_, set_paused_, set_network_, set_network_bytes_, replace_, remove_,
      records_;
  SQLite::Statement bury_, tombstones_, forget_;
  SQLite::Statement add_sample_, forget_samples_, samples_;
  event_table events_;
  connection_table connections_;
  layer_table layers_;
  agent_run_table runs_;
  container_table containers_;
};

} // namespace

result<std::unique_ptr<store>> store::open(const std::string& path) {
  auto lock = file_lock::take(path + ".lock", "The database " + path);
  if (!lock)
    return lock.error();
  auto made = make_private_file(path);
  if (!made)
    return made.error();
  try {
    return std::unique_ptr<store>(std::make_unique<sqlite_store>(path, std::move(*lock)));
  } catch (const std::exception& failed) {
    return fail(errc::internal, "Cannot open the database " + path + ": " + failed.what());
  }
}

} // namespace sandy
