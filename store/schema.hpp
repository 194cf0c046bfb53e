#pragma once

#include <span>

namespace SQLite {
class Database;
}

namespace sandy {

/// SQL that leads from schema version i to i + 1, for every i. Databases in the field have run these: append,
/// never edit.
std::span<const char* const> schema_steps();

/// Runs the steps that the database has not seen, each in a transaction of its own together with the new
/// version number
/// (`PRAGMA user_version`): a crash in between is harmless.
/// @throws SQLite::Exception with SQLite's words; std::runtime_error when the database is newer than the
/// steps.
void migrate(SQLite::Database& database, std::span<const char* const> steps);

} // namespace sandy
