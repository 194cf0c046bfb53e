#include "store/container_table.hpp"

#include "store/running_statement.hpp"

#include <SQLiteCpp/Column.h>

#include <nlohmann/json.hpp>

#include <stdexcept>
#include <string>

namespace sandy {

namespace {

using nlohmann::json;

/// Nobody searches in what a container is started with: one column has it all. @throws json::exception for
/// variables that are no UTF-8.
std::string program_text(const container_program& program) {
  return json{{"arguments", program.arguments},
              {"env", program.env},
              {"user", program.user},
              {"max_restarts", program.max_restarts},
              {"platform_key", program.platform_key}}
      .dump();
}

container_program program_from(const std::string& text) {
  auto stored = json::parse(text);
  container_program program;
  stored.at("arguments").get_to(program.arguments);
  stored.at("env").get_to(program.env);
  stored.at("user").get_to(program.user);
  stored.at("max_restarts").get_to(program.max_restarts);
  program.platform_key = stored.value("platform_key", std::string{}); // older servers forgot it
  return program;
}

template <class Enum>
Enum one_of(std::int64_t number, Enum last) {
  if (number < 0 || number > static_cast<std::int64_t>(last))
    throw std::runtime_error("a value is out of range: " + std::to_string(number));
  return static_cast<Enum>(number);
}

} // namespace

container_table::container_table(SQLite::Database& database)
    : put_(database,
           "INSERT OR REPLACE INTO containers (id, sandbox, image, name, port, status, timeout_seconds, "
           "restart, restarts, created_at, started_at, ended_at, exit_code, process, error, program, "
           "workload) "
           "SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17 "
           // its sandbox may be gone, and nothing of that is kept
           "WHERE EXISTS (SELECT 1 FROM sandboxes WHERE id = ?2)")
    , remove_(database, "DELETE FROM containers WHERE id = ?1")
    , remove_all_(database, "DELETE FROM containers WHERE sandbox = ?1")
    , of_(database, "SELECT id, image, name, port, status, timeout_seconds, restart, restarts, created_at, "
                    "started_at, ended_at, exit_code, process, error, program, workload FROM containers "
                    "WHERE sandbox = ?1 ORDER BY created_at, id") {}

void container_table::put(const container_record& record) {
  const auto& info = record.info;
  running statement(put_);
  auto number = [&](int at, auto value) { statement->bind(at, static_cast<std::int64_t>(value)); };
  statement->bind(1, info.id.value);
  statement->bind(2, info.sandbox.value);
  statement->bind(3, info.image);
  statement->bind(4, info.name);
  number(5, info.port);
  number(6, info.status);
  number(7, info.timeout_seconds);
  number(8, info.restart);
  number(9, info.restarts);
  number(10, info.created_at);
  number(11, info.started_at);
  number(12, info.ended_at);
  number(13, info.exit_code);
  number(14, info.process_id);
  statement->bind(15, info.error);
  statement->bind(16, program_text(record.program));
  number(17, info.workload);
  statement->exec();
}

bool container_table::remove(const container_id& id) {
  running statement(remove_);
  statement->bind(1, id.value);
  return statement->exec() > 0;
}

bool container_table::remove_all(const sandbox_id& of) {
  running statement(remove_all_);
  statement->bind(1, of.value);
  return statement->exec() > 0;
}

std::vector<container_record> container_table::of(const sandbox_id& id) {
  std::vector<container_record> found;
  running row(of_);
  row->bind(1, id.value);
  while (row->executeStep()) {
    container_record record;
    auto& info = record.info;
    auto number = [&](int at) { return row->getColumn(at).getInt64(); };
    info.id.value = row->getColumn(0).getString();
    info.sandbox = id;
    info.image = row->getColumn(1).getString();
    info.name = row->getColumn(2).getString();
    info.port = static_cast<std::uint16_t>(number(3));
    info.status = one_of(number(4), container_status::exited);
    info.timeout_seconds = static_cast<std::uint32_t>(number(5));
    info.restart = one_of(number(6), restart_policy::always);
    info.restarts = static_cast<std::uint32_t>(number(7));
    info.created_at = number(8);
    info.started_at = number(9);
    info.ended_at = number(10);
    info.exit_code = static_cast<std::int32_t>(number(11));
    info.process_id = static_cast<std::uint32_t>(number(12));
    info.error = row->getColumn(13).getString();
    record.program = program_from(row->getColumn(14).getString());
    info.workload = number(15) != 0;
    found.push_back(std::move(record));
  }
  return found;
}

} // namespace sandy
