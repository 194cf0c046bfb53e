#pragma once

#include "messages/sandbox_io.hpp"

#include <cstddef>
#include <cstdint>
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

  /// What was there before, and is not created when it is written again.
  void expect(std::vector<std::string> names);

  /// One thing that happened.
  void note(const watch_event& event);

  /// Files that changed since the last call, each once, at most `most`.
  std::vector<change> take(std::size_t most);
  /// One that was taken and could not be told: it is taken again.
  void give_back(const change& untold);
  bool any() const noexcept { return !pending_.empty(); }

  /// Files that changed since the start.
  std::uint64_t total() const noexcept { return total_; }
  /// The first of them, in order.
  std::vector<std::string> names() const;

private:
  void add(const std::string& path);
  void remove(const std::string& path);
  void rename_directory(const std::string& from, const std::string& to);
  void remove_directory(const std::string& path);

  std::set<std::string> before_;
  std::set<std::string> pending_;
  std::set<std::string> seen_; ///< what changed, the first of it
  std::uint64_t total_ = 0;
};

} // namespace sandy
