#include "store/event_table.hpp"

#include "store/running_statement.hpp"

#include <SQLiteCpp/Column.h>
#include <SQLiteCpp/Transaction.h>

#include <stdexcept>

namespace sandy {

namespace {

template <class Enum>
Enum enumerator(const SQLite::Column& column, Enum last) {
  auto value = column.getInt64();
  if (value < 0 || value > static_cast<std::int64_t>(last))
    throw std::runtime_error(std::string(column.getName()) + " is out of range: " + std::to_string(value));
  return static_cast<Enum>(value);
}

std::int64_t signed_of(std::uint64_t number) { return static_cast<std::int64_t>(number); }

} // namespace

event_table::event_table(SQLite::Database& database)
    : database_(database)
    , insert_(database, "INSERT INTO events (sequence, at, tenant, sandbox, parent, type, reason) "
                        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")
    , forget_(database, "DELETE FROM events WHERE sequence <= "
                        "(SELECT sequence FROM events ORDER BY sequence DESC LIMIT 1 OFFSET ?1)")
    , all_(database,
           "SELECT sequence, at, tenant, sandbox, parent, type, reason FROM events ORDER BY sequence")
    , position_(database, "SELECT sequence FROM webhooks WHERE name = ?1")
    , set_position_(database, "INSERT OR REPLACE INTO webhooks (name, sequence) VALUES (?1, ?2)") {}

void event_table::add(const std::vector<life_event>& events, std::size_t most) {
  SQLite::Transaction transaction(database_, SQLite::TransactionBehavior::IMMEDIATE);
  for (const auto& event : events) {
    running statement(insert_);
    statement->bind(1, signed_of(event.sequence));
    statement->bind(2, static_cast<std::int64_t>(event.at));
    statement->bind(3, event.tenant.value);
    statement->bind(4, event.sandbox.value);
    statement->bind(5, event.parent.value);
    statement->bind(6, static_cast<std::int64_t>(event.type));
    statement->bind(7, static_cast<std::int64_t>(event.reason));
    statement->exec();
  }
  {
    running statement(forget_);
    statement->bind(1, static_cast<std::int64_t>(most));
    statement->exec();
  }
  transaction.commit();
}

std::vector<life_event> event_table::all() {
  std::vector<life_event> events;
  running row(all_);
  while (row->executeStep()) {
    life_event event;
    event.sequence = static_cast<std::uint64_t>(row->getColumn(0).getInt64());
    event.at = row->getColumn(1).getInt64();
    event.tenant.value = row->getColumn(2).getString();
    event.sandbox.value = row->getColumn(3).getString();
    event.parent.value = row->getColumn(4).getString();
    event.type = enumerator(row->getColumn(5), life_event_type::last_);
    event.reason = enumerator(row->getColumn(6), end_reason::idle);
    events.push_back(std::move(event));
  }
  return events;
}

std::optional<std::uint64_t> event_table::position(const std::string& webhook) {
  running row(position_);
  row->bind(1, webhook);
  if (!row->executeStep())
    return std::nullopt;
  return static_cast<std::uint64_t>(row->getColumn(0).getInt64());
}

void event_table::set_position(const std::string& webhook, std::uint64_t sequence) {
  running statement(set_position_);
  statement->bind(1, webhook);
  statement->bind(2, signed_of(sequence));
  statement->exec();
}

} // namespace sandy
