#include "runtime/cgroup.hpp"

#include "runtime/files.hpp"
#include "runtime/system_failure.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <thread>

namespace sandy::runtime {

namespace {

using namespace std::chrono_literals;

bool present(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::uint64_t number_in(const std::string& path) { return number(read_small_file(path).value_or("")); }

/// The number behind "key " at the start of a line, as in memory.events; 0 when there is none.
std::uint64_t keyed_number(const std::string& path, std::string_view key) {
  auto text = "\n" + read_small_file(path).value_or("");
  auto at = text.find("\n" + std::string{key} + " ");
  return at == std::string::npos ? 0 : number(std::string_view{text}.substr(at + key.size() + 2));
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    auto end = std::min(text.find(separator), text.size());
    parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

/// Adds the processes of a group's directory and of what is nested in it.
void add_processes(const std::string& directory, std::vector<pid_t>& pids) {
  for (const auto& line : split(read_small_file(directory + "/cgroup.procs", 1 << 20).value_or(""), '\n'))
    pids.push_back(static_cast<pid_t>(number(line)));
  for (const auto& nested : directories_in(directory))
    add_processes(directory + "/" + nested, pids);
}

/// Removes a group's directory and what is nested in it. Returns 0 or the errno of the outer one.
int remove_group(const std::string& directory) {
  if (::rmdir(directory.c_str()) == 0 || errno == ENOENT)
    return 0;
  auto error = errno;
  for (const auto& nested : directories_in(directory))
    remove_group(directory + "/" + nested);
  if (::rmdir(directory.c_str()) == 0 || errno == ENOENT)
    return 0;
  return error;
}

} // namespace

std::uint64_t cpu_quota_usec(std::uint32_t cpu_millis) noexcept {
  constexpr std::uint64_t least = 1000; // the kernel refuses less
  return std::max(least, cpu_millis * cpu_period_usec / 1000);
}

result<cgroup_layout> cgroup_layout::detect(const std::string& root) {
  cgroup_layout layout;
  if (present(root + "/cgroup.controllers")) {
    layout.kind_ = version::v2;
    layout.trees_.push_back(root);
    return layout;
  }
  for (const auto& name : directories_in(root)) {
    auto tree = root + "/" + name;
    // A tree of v2 beside those of v1 holds no controller that we need.
    if (!present(tree + "/cgroup.procs") || present(tree + "/cgroup.controllers"))
      continue;
    layout.trees_.push_back(tree);
    for (auto& controller : split(name, ','))
      layout.by_controller_.emplace_back(std::move(controller), tree);
  }
  std::sort(layout.trees_.begin(), layout.trees_.end());
  for (auto needed : {"memory", "pids", "cpu", "cpuacct", "freezer", "devices"})
    if (layout.tree(needed).empty())
      return fail(errc::internal, std::string{"this machine has no control group tree for: "} + needed);
  return layout;
}

const std::string& cgroup_layout::tree(std::string_view controller) const {
  static const std::string none;
  if (kind_ == version::v2)
    return trees_.front();
  for (const auto& [name, tree] : by_controller_)
    if (name == controller)
      return tree;
  return none;
}

bool cgroup_layout::swap_accounting() const {
  return kind_ == version::v2 || present(tree("memory") + "/memory.memsw.limit_in_bytes");
}

cgroup::cgroup(const cgroup_layout& layout, std::string path)
    : layout_(&layout)
    , path_(std::move(path)) {}

std::string cgroup::file(std::string_view controller, std::string_view name) const {
  return layout_->tree(controller) + path_ + "/" + std::string{name};
}

std::vector<std::string> cgroup::names_below() const { return directories_in(file("freezer", "")); }

bool cgroup::exists() const {
  return std::any_of(layout_->trees().begin(), layout_->trees().end(),
                     [this](const std::string& tree) { return present(tree + path_); });
}

bool cgroup::contains(pid_t pid) const {
  auto text = read_small_file("/proc/" + std::to_string(pid) + "/cgroup");
  if (!text)
    return false;
  // Lines are "number:controllers:path".
  for (const auto& line : split(*text, '\n')) {
    auto at = line.find(':', line.find(':') + 1);
    if (at == std::string::npos)
      continue;
    auto path = std::string_view{line}.substr(at + 1);
    if (path.starts_with(path_) && (path.size() == path_.size() || path[path_.size()] == '/'))
      return true;
  }
  return false;
}

std::vector<pid_t> cgroup::processes() const {
  std::vector<pid_t> pids;
  for (const auto& tree : layout_->trees())
    add_processes(tree + path_, pids);
  std::sort(pids.begin(), pids.end());
  pids.erase(std::unique(pids.begin(), pids.end()), pids.end());
  // 0 stands for processes outside our pid namespace, and is kill(2)'s name for ourselves.
  std::erase_if(pids, [](pid_t pid) { return pid <= 1; });
  return pids;
}

void cgroup::thaw() const {
  // One below may be left frozen by a server that was killed while it killed.
  for (const auto& name : names_below())
    below(name).thaw();
  thaw_one();
}

void cgroup::thaw_one() const {
  // Errors are the caller's business only through what follows: a group that stays frozen never becomes
  // empty.
  if (layout_->kind() == cgroup_layout::version::v2)
    write_control_file(file("", "cgroup.freeze"), "0");
  else
    write_control_file(file("freezer", "freezer.state"), "THAWED");
}

int cgroup::ask_to_freeze() const {
  if (layout_->kind() == cgroup_layout::version::v2)
    return write_control_file(file("", "cgroup.freeze"), "1");
  return write_control_file(file("freezer", "freezer.state"), "FROZEN");
}

bool cgroup::frozen() const {
  if (layout_->kind() == cgroup_layout::version::v2)
    return number_in(file("", "cgroup.freeze")) == 1;
  auto state = read_small_file(file("freezer", "freezer.state"));
  return state && !state->starts_with("THAWED");
}

result<void> cgroup::freeze(steady_time deadline) const {
  auto complete = [this] {
    if (layout_->kind() == cgroup_layout::version::v2)
      return keyed_number(file("", "cgroup.events"), "frozen") == 1;
    return read_small_file(file("freezer", "freezer.state")).value_or("").starts_with("FROZEN");
  };
  if (auto error = ask_to_freeze(); error != 0)
    return system_failure("cannot freeze the sandbox", error,
                          error == ENOENT ? errc::sandbox_not_found : errc::internal);
  for (auto pause = 100us; !complete(); pause = std::min(pause * 2, std::chrono::microseconds{10ms})) {
    if (std::chrono::steady_clock::now() > deadline) {
      thaw();
      return fail(errc::internal, "a process of the sandbox cannot be frozen");
    }
    std::this_thread::sleep_for(pause);
    ask_to_freeze(); // v1: what was forked since is frozen by asking again
  }
  return caf::unit;
}

result<void> cgroup::kill_all(steady_time deadline) const {
  auto pause = 200us;
  for (auto pids = processes(); !pids.empty(); pids = processes()) {
    if (std::chrono::steady_clock::now() > deadline)
      return fail(errc::internal,
                  std::to_string(pids.size()) + " processes of the sandbox could not be killed");
    // v2 kernels since 5.14 kill a whole tree at once. Before, and in v1: while frozen nothing forks, and no
    // pid that was read can be reused; but frozen tasks of v1 die only when they thaw.
    if (layout_->kind() == cgroup_layout::version::v1 ||
        write_control_file(file("", "cgroup.kill"), "1") != 0) {
      ask_to_freeze();
      for (auto pid : processes())
        ::kill(pid, SIGKILL);
    }
    thaw();
    std::this_thread::sleep_for(pause); // dying is not an event in v1: look again, ever more rarely
    pause = std::min(pause * 2, std::chrono::microseconds{10ms});
  }
  return caf::unit;
}

result<void> cgroup::remove(steady_time deadline) const {
  for (const auto& tree : layout_->trees()) {
    auto pause = 100us;
    // The kernel still holds a group for a moment after its last process ended.
    for (int error; (error = remove_group(tree + path_)) != 0;) {
      if (error != EBUSY || std::chrono::steady_clock::now() > deadline)
        return system_failure("cannot remove a control group of the sandbox", error);
      std::this_thread::sleep_for(pause);
      pause = std::min(pause * 2, std::chrono::microseconds{10ms});
    }
  }
  return caf::unit;
}

result<cgroup_usage> cgroup::usage() const {
  if (!present(file("memory", "")))
    return fail(errc::sandbox_not_found, "the sandbox has no control group");
  cgroup_usage found;
  if (layout_->kind() == cgroup_layout::version::v2) {
    found.cpu_usec = keyed_number(file("", "cpu.stat"), "usage_usec");
    found.memory_bytes = number_in(file("", "memory.current"));
    found.oom_kills = keyed_number(file("", "memory.events"), "oom_kill");
  } else {
    found.cpu_usec = number_in(file("cpuacct", "cpuacct.usage")) / 1000;
    found.memory_bytes = number_in(file("memory", "memory.usage_in_bytes"));
    found.oom_kills = keyed_number(file("memory", "memory.oom_control"), "oom_kill");
  }
  found.pids = static_cast<std::uint32_t>(number_in(file("pids", "pids.current")));
  return found;
}

result<void> cgroup::set_memory(std::uint64_t bytes) const {
  auto text = std::to_string(bytes);
  int error = 0;
  if (layout_->kind() == cgroup_layout::version::v2) {
    error = write_control_file(file("", "memory.max"), text);
  } else {
    auto memory = file("memory", "memory.limit_in_bytes");
    auto both = file("memory", "memory.memsw.limit_in_bytes");
    if (!layout_->swap_accounting())
      error = write_control_file(memory, text);
    else {
      // At no moment may the limit of memory be above that of memory and swap.
      auto growing = bytes > number_in(both);
      error = write_control_file(growing ? both : memory, text);
      if (error == 0)
        error = write_control_file(growing ? memory : both, text);
    }
  }
  if (error == EBUSY)
    return fail(errc::conflict, "the sandbox uses more memory than the new limit");
  if (error != 0)
    return system_failure("cannot change the memory limit", error);
  return caf::unit;
}

result<void> cgroup::set_limits(const resource_limits& limits) const {
  if (!exists())
    return fail(errc::sandbox_not_found, "the sandbox has no control group");
  if (limits.memory_bytes != 0)
    if (auto done = set_memory(limits.memory_bytes); !done)
      return done;
  if (limits.cpu_millis != 0) {
    auto quota = std::to_string(cpu_quota_usec(limits.cpu_millis));
    auto error = layout_->kind() == cgroup_layout::version::v2
                     ? write_control_file(file("", "cpu.max"), quota + " " + std::to_string(cpu_period_usec))
                     : write_control_file(file("cpu", "cpu.cfs_quota_us"), quota);
    if (error != 0)
      return system_failure("cannot change the cpu limit", error);
  }
  if (limits.pids != 0)
    if (auto error = write_control_file(file("pids", "pids.max"), std::to_string(limits.pids)); error != 0)
      return system_failure("cannot change the limit of processes", error);
  return caf::unit;
}

} // namespace sandy::runtime
