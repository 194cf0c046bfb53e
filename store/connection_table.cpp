#include "store/connection_table.hpp"

#include "store/running_statement.hpp"

#include <SQLiteCpp/Column.h>

#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>

namespace sandy {

connection_table::connection_table(SQLite::Database& database)
    : add_(database, "INSERT OR REPLACE INTO connections (source, target, address, created_at) "
                     "VALUES (?1, ?2, ?3, ?4)")
    , remove_(database, "DELETE FROM connections WHERE source = ?1 AND target = ?2")
    , remove_all_(database, "DELETE FROM connections WHERE source = ?1 OR target = ?1")
    , all_(database, "SELECT source, target, address, created_at FROM connections "
                     "ORDER BY created_at, source, target") {}

void connection_table::add(const sandbox_connection& connection) {
  running statement(add_);
  statement->bind(1, connection.source.value);
  statement->bind(2, connection.target.value);
  statement->bind(3, static_cast<std::int64_t>(connection.address));
  statement->bind(4, static_cast<std::int64_t>(connection.created_at));
  statement->exec();
}

void connection_table::remove(const sandbox_id& source, const sandbox_id& target) {
  running statement(remove_);
  statement->bind(1, source.value);
  statement->bind(2, target.value);
  statement->exec();
}

void connection_table::remove_all(const sandbox_id& id) {
  running statement(remove_all_);
  statement->bind(1, id.value);
  statement->exec();
}

std::vector<sandbox_connection> connection_table::all() {
  std::vector<sandbox_connection> found;
  running statement(all_);
  while (statement->executeStep()) {
    auto address = statement->getColumn(2).getInt64();
    if (address < 0 || address > std::numeric_limits<std::uint32_t>::max())
      throw std::runtime_error("address is out of range: " + std::to_string(address));
    found.push_back({{statement->getColumn(0).getString()},
                     {statement->getColumn(1).getString()},
                     static_cast<std::uint32_t>(address),
                     statement->getColumn(3).getInt64()});
  }
  return found;
}

} // namespace sandy
