#pragma once

#include "store/store.hpp"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>

#include <vector>

namespace sandy {

/// Containers of sandboxes that live. Part of the store; every function throws SQLite::Exception, or
/// std::exception for a damaged row.
class container_table {
public:
  explicit container_table(SQLite::Database& database);

  void put(const container_record& record);
  /// Both: whether there was one.
  bool remove(const container_id& id);
  bool remove_all(const sandbox_id& of);
  std::vector<container_record> of(const sandbox_id& id);

private:
  SQLite::Statement put_, remove_, remove_all_, of_;
};

} // namespace sandy
