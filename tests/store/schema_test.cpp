#include "store/schema.hpp"
#include "tests/store/fixture.hpp"

#include <SQLiteCpp/Column.h>
#include <SQLiteCpp/Database.h>

#include <array>
#include <stdexcept>

using namespace sandy;

namespace {

std::int64_t version_of(SQLite::Database& database) {
  return database.execAndGet("PRAGMA user_version").getInt64();
}

SQLite::Database in_memory() {
  return SQLite::Database(":memory:", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
}

} // namespace

TEST_CASE("a new database gets every step once", "[schema]") {
  auto database = in_memory();
  migrate(database, schema_steps());
  CHECK(version_of(database) == static_cast<std::int64_t>(schema_steps().size()));
  migrate(database, schema_steps()); // a second CREATE TABLE would throw
  CHECK(database.tableExists("sandboxes"));
}

TEST_CASE("an older database gets the steps it lacks and keeps its rows", "[schema]") {
  auto database = in_memory();
  constexpr std::array<const char*, 1> old_steps{"CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (7);"};
  constexpr std::array<const char*, 3> new_steps{old_steps[0], "ALTER TABLE t ADD COLUMN b INTEGER DEFAULT 8",
                                                 "UPDATE t SET b = a + b"};
  migrate(database, old_steps);
  migrate(database, new_steps);
  CHECK(version_of(database) == 3);
  CHECK(database.execAndGet("SELECT b FROM t").getInt() == 15);
}

TEST_CASE("a step that fails leaves the version and the tables as they were", "[schema]") {
  auto database = in_memory();
  constexpr std::array<const char*, 2> steps{"CREATE TABLE t (a INTEGER)",
                                             "CREATE TABLE u (b INTEGER); THIS IS NOT SQL"};
  CHECK_THROWS_AS(migrate(database, steps), SQLite::Exception);
  CHECK(version_of(database) == 1);
  CHECK_FALSE(database.tableExists("u"));
}

TEST_CASE("a database of a newer server is refused with a sentence", "[schema]") {
  store_directory directory;
  directory.open();
  SQLite::Database(directory.path(), SQLite::OPEN_READWRITE).exec("PRAGMA user_version = 1000");
  auto opened = store::open(directory.path());
  REQUIRE_FALSE(opened);
  CHECK(text_of(opened.error()).find("newer server") != std::string::npos);
}
