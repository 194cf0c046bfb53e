#pragma once

#include "messages/sandbox.hpp"

#include <deque>
#include <set>
#include <unordered_map>
#include <vector>

namespace sandy {

/// What a sandbox's children are allowed.
struct child_rules {
  std::uint32_t max_alive = 5;           ///< children of one parent at a time
  std::uint32_t max_per_hour = 10;       ///< creations by one parent in any 60 minutes
  std::uint32_t max_depth = 3;           ///< generations below a sandbox without parent
  std::chrono::seconds default_ttl{600}; ///< of a child whose creator names none
  std::chrono::seconds max_ttl{3600};    ///< longer requests are clamped
};

/// Who descends from whom on one machine. A value of the worker's, no actor.
class family {
public:
  explicit family(child_rules rules)
      : rules_(rules) {}

  /// Whether `parent` may have one more child now. Fails with rate_limited, and says when to try again.
  result<void> may_add(const sandbox_id& parent, unix_millis now);

  /// @param parent empty for none; may come later (recovery meets them in any order) or never (an orphan).
  void add(const sandbox_id& id, const sandbox_id& parent, unix_millis born);
  void remove(const sandbox_id& id);
  /// A sandbox to be gets the id of a warm one, or another. Neither has children yet.
  void rename(const sandbox_id& from, const sandbox_id& to);
  /// Counts a child that is gone already but was born within the hour.
  void remember_birth(const sandbox_id& parent, unix_millis born);

  /// Whether `id` is `ancestor` or descends from it.
  bool within(const sandbox_id& id, const sandbox_id& ancestor) const;
  std::vector<sandbox_id> children(const sandbox_id& id) const;
  /// Sandboxes whose parent does not exist.
  std::vector<sandbox_id> orphans() const;

private:
  struct member {
    bool alive = false; ///< false: only its children are
    sandbox_id parent;
    std::set<sandbox_id> children;
    std::deque<unix_millis> births; ///< of its children in the last hour, in order
  };
  const member* find(const sandbox_id& id) const; ///< the living
  std::uint32_t depth(const sandbox_id& id) const;

  child_rules rules_;
  std::unordered_map<sandbox_id, member> members_;
};

} // namespace sandy
