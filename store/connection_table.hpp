#pragma once

#include "messages/connection.hpp"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>

#include <vector>

namespace sandy {

/// Which sandboxes reach which others. Part of the store; every function throws SQLite::Exception, or
/// std::runtime_error for a damaged row.
class connection_table {
public:
  explicit connection_table(SQLite::Database& database);

  void add(const sandbox_connection& connection);
  void remove(const sandbox_id& source, const sandbox_id& target);
  /// All connections from and to a sandbox.
  void remove_all(const sandbox_id& id);
  std::vector<sandbox_connection> all();

private:
  SQLite::Statement add_, remove_, remove_all_, all_;
};

} // namespace sandy
