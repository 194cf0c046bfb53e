#pragma once

#include "actors/layers.hpp"
#include "actors/room.hpp"
#include "coro/sync.hpp"
#include "messages/sandbox.hpp"

#include <memory>
#include <optional>
#include <set>

namespace sandy {

/// One `create_sandbox` on its way: it gets a place (room for what it is promised), then, unless a warm
/// sandbox is there for it, its turn to be made.
struct creation {
  /// Something it waits for in a line.
  struct stage {
    bool granted = false;
    coro::event woken; ///< look again: granted, or it failed
  };

  sandbox_id id; ///< of the sandbox that is to be the caller's; not alive yet while it waits
  tenant_id tenant;
  sandbox_id parent;
  resource_limits limits;
  layers::hold layer; ///< what it will be made from
  std::uint8_t priority = 2;
  std::uint64_t number = 0; ///< age: the lower, the older
  coro::time_point begun{};
  coro::time_point waits_until{};
  bool coming = false; ///< others end already to make its place: it waits for them
  stage place;
  stage turn;
  std::optional<caf::error> failed; ///< it waits no longer
  bool abandoned = false;           ///< the caller is gone
};

/// The most important first, then the oldest.
struct goes_first {
  bool operator()(const std::shared_ptr<creation>& a, const std::shared_ptr<creation>& b) const {
    return a->priority != b->priority ? a->priority < b->priority : a->number < b->number;
  }
};
using creation_line = std::set<std::shared_ptr<creation>, goes_first>;

} // namespace sandy
