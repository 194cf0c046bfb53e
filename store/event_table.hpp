#pragma once

#include "messages/events.hpp"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace sandy {

/// The newest events of all sandboxes, and how far each webhook has got. Part of the store; every function
/// throws SQLite::Exception, or std::runtime_error for a damaged row.
class event_table {
public:
  explicit event_table(SQLite::Database& database);

  void add(const std::vector<life_event>& events, std::size_t most);
  std::vector<life_event> all();
  std::optional<std::uint64_t> position(const std::string& webhook);
  void set_position(const std::string& webhook, std::uint64_t sequence);

private:
  SQLite::Database& database_;
  SQLite::Statement insert_, forget_, all_, position_, set_position_;
};

} // namespace sandy
