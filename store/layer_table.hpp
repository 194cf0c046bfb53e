#pragma once

#include "store/store.hpp"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>

#include <vector>

namespace sandy {

/// What sandboxes wrote and was kept. Part of the store; every function throws SQLite::Exception.
class layer_table {
public:
  explicit layer_table(SQLite::Database& database);

  void put(const layer_record& record);
  void remove(const layer_id& id);
  std::vector<layer_record> all();

private:
  SQLite::Statement put_, remove_, all_;
};

} // namespace sandy
