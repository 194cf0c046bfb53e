#include "store/layer_table.hpp"

#include "store/running_statement.hpp"

#include <SQLiteCpp/Column.h>

namespace sandy {

layer_table::layer_table(SQLite::Database& database)
    // Not INSERT OR REPLACE: that would remove another layer of the same name without a word.
    : put_(database,
           "INSERT INTO layers (id, below, tenant, name, maker, source, size_bytes, created_at, complete) "
           "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (id) DO UPDATE SET "
           "below = ?2, tenant = ?3, name = ?4, maker = ?5, source = ?6, size_bytes = ?7, "
           "created_at = ?8, complete = ?9")
    , remove_(database, "DELETE FROM layers WHERE id = ?1")
    , all_(database,
           "SELECT id, below, tenant, name, maker, source, size_bytes, created_at, complete FROM layers "
           "ORDER BY created_at, id") {}

void layer_table::put(const layer_record& record) {
  running statement(put_);
  statement->bind(1, record.id.value);
  statement->bind(2, record.below.value);
  statement->bind(3, record.tenant.value);
  statement->bind(4, record.name);
  statement->bind(5, record.maker.value);
  statement->bind(6, record.source.value);
  statement->bind(7, static_cast<std::int64_t>(record.size_bytes));
  statement->bind(8, static_cast<std::int64_t>(record.created_at));
  statement->bind(9, record.complete ? 1 : 0);
  statement->exec();
}

void layer_table::remove(const layer_id& id) {
  running statement(remove_);
  statement->bind(1, id.value);
  statement->exec();
}

std::vector<layer_record> layer_table::all() {
  std::vector<layer_record> records;
  running row(all_);
  while (row->executeStep()) {
    layer_record record;
    record.id.value = row->getColumn(0).getString();
    record.below.value = row->getColumn(1).getString();
    record.tenant.value = row->getColumn(2).getString();
    record.name = row->getColumn(3).getString();
    record.maker.value = row->getColumn(4).getString();
    record.source.value = row->getColumn(5).getString();
    record.size_bytes = static_cast<std::uint64_t>(row->getColumn(6).getInt64());
    record.created_at = row->getColumn(7).getInt64();
    record.complete = row->getColumn(8).getInt64() != 0;
    records.push_back(std::move(record));
  }
  return records;
}

} // namespace sandy
