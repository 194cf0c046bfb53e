#pragma once

#include "http/gateway/limits.hpp"
#include "messages/error.hpp"
#include "messages/ids.hpp"
#include "messages/sandbox.hpp"

#include <nlohmann/json_fwd.hpp>

#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace sandy::http::gateway {

/// A file that a chat made. Immutable once stored.
struct artifact {
  std::string id; ///< "artf_" and 12 hex digits
  tenant_id owner;
  std::string type; ///< "image", "file", "dataset", "binary"
  std::string mime_type;
  std::string display_name;
  std::string bytes;
  std::string sha256; ///< hex
  unix_millis created_at = 0;
  std::chrono::seconds ttl{3600};
};

/// The artifacts of chats, in memory, for an hour. Thread safe.
class artifact_store {
public:
  explicit artifact_store(artifact_limits limits)
      : limits_(limits) {}

  /// Keeps one. Fails with payload_too_large.
  /// @param mime_type empty: told by the name
  result<std::shared_ptr<const artifact>> add(tenant_id owner, std::string display_name,
                                              std::string mime_type, std::string bytes);
  /// nullptr: unknown, expired, or somebody else's.
  std::shared_ptr<const artifact> find(const tenant_id& owner, std::string_view id);

  std::uint64_t bytes() const;
  /// That one may have.
  std::uint64_t most_bytes() const noexcept { return limits_.each_bytes; }

private:
  using entry = std::shared_ptr<const artifact>;
  using clock = std::chrono::steady_clock;
  struct kept {
    entry what;
    clock::time_point until;
  };
  void make_room(std::uint64_t for_bytes);

  artifact_limits limits_;
  mutable std::mutex mutex_;
  std::list<kept> order_; ///< the oldest first
  std::unordered_map<std::string, std::list<kept>::iterator> by_id_;
  std::uint64_t bytes_ = 0;
};

/// The descriptor that travels in answers. @param url of the bytes; empty: a data URL, where they are few.
nlohmann::json descriptor(const artifact& what, std::string url);

} // namespace sandy::http::gateway
