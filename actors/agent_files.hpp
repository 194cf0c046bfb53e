#pragma once

#include "messages/sandbox_io.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace sandy {

/// Which files of the workspace a run made or changed, as far as people care: no caches, no directories,
/// nothing of the run's own. Bounded, whatever the run does.
class agent_files {
public:
  struct change {
    std::string path; ///< relative to the workspace
    bool created = false;
  };

  /// One thing that happened.
  void note(const watch_event& event);

  /// Files that changed since the last call, each once, at most `most`.
  std::vector<change> take(std::size_t most);
  bool any() const noexcept { return !pending_.empty(); }

  /// Files that changed since the start.
  std::uint64_t total() const noexcept { return total_; }
  /// The first of them, in order.
  std::vector<std::string> names() const;

private:
  void add(const std::string& path, bool created);

  std::map<std::string, bool> pending_; ///< whether it was created
  std::set<std::string> seen_;
  std::uint64_t total_ = 0;
};

} // namespace sandy
