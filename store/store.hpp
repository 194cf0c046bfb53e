#pragma once

#include "messages/worker.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sandy {

/// What survives a crash about one sandbox. Written before the kernel object is made, removed after it is
/// gone.
struct sandbox_record {
  sandbox_info info;
  environment env;            ///< may hold secrets: the database file is readable by its owner only
  std::uint32_t uid_slot = 0; ///< unique among records
};

/// An ended sandbox whose id still answers a repeated terminate.
struct tombstone {
  sandbox_id id;
  tenant_id tenant;
  end_reason reason = end_reason::none;
  unix_millis ended_at = 0;
};

/// The worker's truth, in SQLite with a write-ahead log. Blocking: call it on the store's own thread only.
/// A second server on the same file is refused. All functions fail with `internal` and SQLite's words.
class store {
public:
  /// Opens or creates the database and brings its schema up to date. @param path a file; its directory
  /// exists.
  static result<std::unique_ptr<store>> open(const std::string& path);
  virtual ~store() = default;

  /// Fails with conflict when the id or the uid slot is taken.
  virtual result<void> insert(const sandbox_record& record) = 0;
  /// State and lease only: what changes in a sandbox's life. Fails with sandbox_not_found.
  virtual result<void> update(const sandbox_id& id, sandbox_state state, unix_millis expires_at,
                              std::uint32_t ttl_seconds) = 0;
  /// Removes the record and leaves a tombstone, in one transaction. Idempotent.
  virtual result<void> bury(const tombstone& stone) = 0;
  virtual result<std::vector<sandbox_record>> records() = 0;
  virtual result<std::vector<tombstone>> tombstones() = 0;
  /// Forgets tombstones older than this.
  virtual result<void> forget_tombstones(unix_millis before) = 0;

  /// One point of the machine's history; points older than 48 hours are forgotten.
  virtual result<void> add_sample(const resource_sample& sample) = 0;
  virtual result<std::vector<resource_sample>> samples(unix_millis since) = 0;
};

} // namespace sandy
