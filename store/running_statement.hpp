#pragma once

#include <SQLiteCpp/Statement.h>

namespace sandy {

/// A prepared statement in use. Afterwards it holds neither a lock on the database nor a caller's secrets.
class running {
public:
  explicit running(SQLite::Statement& statement)
      : statement_(statement) {}
  running(const running&) = delete;
  running& operator=(const running&) = delete;
  ~running() {
    statement_.tryReset();
    statement_.clearBindings(); // throws only when SQLite fails at what cannot fail
  }
  SQLite::Statement* operator->() noexcept { return &statement_; }
  SQLite::Statement& operator*() noexcept { return statement_; }

private:
  SQLite::Statement& statement_;
};

} // namespace sandy
