#include "store/agent_run_table.hpp"

#include "store/running_statement.hpp"

#include <SQLiteCpp/Column.h>
#include <SQLiteCpp/Transaction.h>

#include <nlohmann/json.hpp>

#include <stdexcept>
#include <string>

namespace sandy {

namespace {

using nlohmann::json;

std::string names_text(const std::vector<std::string>& names) {
  // Names of files are any bytes; a run is not lost for one that is no text.
  return json(names).dump(-1, ' ', false, json::error_handler_t::replace);
}

run_status status_of(std::int64_t number) {
  if (number < 0 || number > static_cast<std::int64_t>(run_status::sandbox_ended))
    throw std::runtime_error("status is out of range: " + std::to_string(number));
  return static_cast<run_status>(number);
}

} // namespace

agent_run_table::agent_run_table(SQLite::Database& database)
    : database_(database)
    , put_(database, "INSERT OR REPLACE INTO agent_runs (id, sandbox, process, agent, model, status, "
                     "started_at, ended_at, exit_code, session, steps, files, output, error) "
                     "SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14 "
                     // its sandbox may be gone, and nothing of that is kept
                     "WHERE EXISTS (SELECT 1 FROM sandboxes WHERE id = ?2)")
    , forget_(database, "DELETE FROM agent_runs WHERE id IN (SELECT id FROM agent_runs WHERE sandbox = ?1 "
                        "ORDER BY started_at DESC, id DESC LIMIT -1 OFFSET ?2)")
    , remove_all_(database, "DELETE FROM agent_runs WHERE sandbox = ?1")
    , of_(database, "SELECT id, process, agent, model, status, started_at, ended_at, exit_code, session, "
                    "steps, files, output, error FROM agent_runs WHERE sandbox = ?1 "
                    "ORDER BY started_at DESC, id DESC") {}

void agent_run_table::put(const agent_run_record& record) {
  const auto& run = record.info;
  SQLite::Transaction transaction(database_, SQLite::TransactionBehavior::IMMEDIATE);
  {
    running statement(put_);
    statement->bind(1, run.id);
    statement->bind(2, record.sandbox.value);
    statement->bind(3, static_cast<std::int64_t>(record.process_id));
    statement->bind(4, run.agent);
    statement->bind(5, run.model);
    statement->bind(6, static_cast<std::int64_t>(run.status));
    statement->bind(7, static_cast<std::int64_t>(run.started_at));
    statement->bind(8, static_cast<std::int64_t>(run.ended_at));
    statement->bind(9, static_cast<std::int64_t>(run.exit_code));
    statement->bind(10, run.session_id);
    statement->bind(11, static_cast<std::int64_t>(run.steps));
    statement->bind(12, names_text(run.files));
    const auto cut = run.output.size() > most_kept_output ? run.output.size() - most_kept_output : 0;
    statement->bind(13, run.output.substr(cut));
    statement->bind(14, run.error);
    statement->exec();
  }
  {
    running statement(forget_);
    statement->bind(1, record.sandbox.value);
    statement->bind(2, static_cast<std::int64_t>(most_kept_runs));
    statement->exec();
  }
  transaction.commit();
}

void agent_run_table::remove_all(const sandbox_id& id) {
  running statement(remove_all_);
  statement->bind(1, id.value);
  statement->exec();
}

std::vector<agent_run_record> agent_run_table::of(const sandbox_id& id) {
  std::vector<agent_run_record> found;
  running row(of_);
  row->bind(1, id.value);
  while (row->executeStep()) {
    agent_run_record record;
    auto& run = record.info;
    record.sandbox = id;
    run.id = row->getColumn(0).getString();
    record.process_id = static_cast<std::uint32_t>(row->getColumn(1).getInt64());
    run.agent = row->getColumn(2).getString();
    run.model = row->getColumn(3).getString();
    run.status = status_of(row->getColumn(4).getInt64());
    run.started_at = row->getColumn(5).getInt64();
    run.ended_at = row->getColumn(6).getInt64();
    run.exit_code = static_cast<std::int32_t>(row->getColumn(7).getInt64());
    run.session_id = row->getColumn(8).getString();
    run.steps = static_cast<std::uint32_t>(row->getColumn(9).getInt64());
    run.files = json::parse(row->getColumn(10).getString()).get<std::vector<std::string>>();
    run.output = row->getColumn(11).getString();
    run.error = row->getColumn(12).getString();
    found.push_back(std::move(record));
  }
  return found;
}

} // namespace sandy
