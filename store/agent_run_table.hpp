#pragma once

#include "store/store.hpp"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>

#include <vector>

namespace sandy {

/// What agents did in sandboxes that live. Part of the store; every function throws SQLite::Exception, or
/// std::exception for a damaged row.
class agent_run_table {
public:
  explicit agent_run_table(SQLite::Database& database);

  void put(const agent_run_record& record);
  void remove_all(const sandbox_id& id);
  std::vector<agent_run_record> of(const sandbox_id& id);

private:
  SQLite::Database& database_;
  SQLite::Statement put_, forget_, remove_all_, of_;
};

} // namespace sandy
