#pragma once

#include "messages/error.hpp"
#include "messages/sandbox.hpp"
#include "runtime/process.hpp"
#include "runtime/unique_fd.hpp"

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

namespace sandy::runtime {

/// How this machine's control groups are laid out: one tree (v2), or one per controller (v1, also when a v2
/// tree without controllers sits beside them). Read once at start from the directory where they are mounted.
class cgroup_layout {
public:
  enum class version { v1, v2 };

  /// @param root where control groups are mounted; tests pass a directory of their own.
  /// Fails with internal when it holds none.
  static result<cgroup_layout> detect(const std::string& root = "/sys/fs/cgroup");

  version kind() const noexcept { return kind_; }
  /// The tree of a v1 controller ("memory"), or the one tree of v2; empty when the controller is not mounted.
  const std::string& tree(std::string_view controller) const;
  /// Every tree a group exists in.
  const std::vector<std::string>& trees() const noexcept { return trees_; }
  /// True when memory and swap can be limited together.
  bool swap_accounting() const;

private:
  version kind_ = version::v1;
  std::vector<std::string> trees_;                                 ///< absolute paths
  std::vector<std::pair<std::string, std::string>> by_controller_; ///< v1 only: controller, tree
};

/// What a group has used.
struct cgroup_usage {
  std::uint64_t cpu_usec = 0;
  std::uint64_t memory_bytes = 0;
  std::uint32_t pids = 0;
  std::uint64_t oom_kills = 0;
};

/// One sandbox's control group, in every tree. Names it only: groups outlive the server, so nothing happens
/// on destruction. All functions may block; they need to be root. See cgroups(7), and cgroup-v1 and cgroup-v2
/// in the kernel's documentation.
class cgroup {
public:
  /// @param path within the trees, absolute, e.g. "/sandy-1234/0a1b..."; the layout must outlive this.
  cgroup(const cgroup_layout& layout, std::string path);

  /// A group below this one, which `make_member_group` makes.
  cgroup below(const std::string& name) const { return {*layout_, path_ + "/" + name}; }
  /// Makes this group, below one that there is, to tell processes apart and to kill them together: it has no
  /// limits of its own. With v1 it is in the freezer's tree alone. @returns where a process with one thread
  /// joins by writing "0": what counts are the rights of who opened it, so of ours. Fails with
  /// sandbox_not_found when the group above is gone.
  result<unique_fd> make_member_group() const;
  /// The files through which a process with one thread joins this group, by writing "0" to each, after it was
  /// made by `make_member_group`: with v1 it joins the group above in every other tree.
  std::vector<std::string> joining_files() const;
  /// Moves a process into this group from whatever group it is in, as if it had joined by those files; with
  /// all of its threads. What it is charged for already stays where it is. Fails with sandbox_not_found when
  /// the group or the process is gone.
  result<void> take_in(pid_t pid) const;
  /// Removes the groups below this one that no process is in. The last to leave one may take a moment.
  /// @param kept whether to leave the one of that name.
  void remove_empty_below(steady_time deadline,
                          const std::function<bool(const std::string&)>& kept = {}) const;

  /// True when any tree has it.
  bool exists() const;
  /// True when the process is in this group or below it.
  bool contains(pid_t pid) const;
  /// Processes in the group and below it, in any tree.
  std::vector<pid_t> processes() const;

  /// Stops every process of the group where it is, and returns when none runs any more. Fails with internal
  /// when one still does by the deadline: the group runs on then; with sandbox_not_found when the group is
  /// gone.
  result<void> freeze(steady_time deadline) const;
  bool frozen() const; ///< or about to be
  /// Lets a frozen group run again, and those below it, also so that its processes can die.
  void thaw() const;
  /// Kills every process, also frozen ones and those being forked, and waits until the group is empty.
  /// Fails with internal when it is not by the deadline.
  result<void> kill_all(steady_time deadline) const;
  /// Removes the group, which must be empty, from every tree; fine when it is gone already.
  result<void> remove(steady_time deadline) const;

  /// Fails with sandbox_not_found when the group is gone.
  result<cgroup_usage> usage() const;
  /// Sets memory (with swap), cpu and pids; zeros are left as they are. Fails with conflict when memory in
  /// use cannot be pushed under the new limit.
  result<void> set_limits(const resource_limits& limits) const;

private:
  std::string file(std::string_view controller, std::string_view name) const;
  result<void> set_memory(std::uint64_t bytes) const;
  int ask_to_freeze() const;
  void thaw_one() const;
  /// The file of this name in each group that a member of this one is in.
  std::vector<std::string> member_files(const char* name) const;
  /// Names of the groups below this one.
  std::vector<std::string> names_below() const;

  const cgroup_layout* layout_;
  std::string path_;
};

/// The share of a core as the kernel wants it: microseconds per period of 100 ms, at least the kernel's
/// minimum.
std::uint64_t cpu_quota_usec(std::uint32_t cpu_millis) noexcept;
inline constexpr std::uint64_t cpu_period_usec = 100'000;

} // namespace sandy::runtime
