// Groups within a sandbox's own; the rest is in cgroup.cpp.

#include "runtime/cgroup.hpp"
#include "runtime/files.hpp"
#include "runtime/system_failure.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

namespace sandy::runtime {

using namespace std::chrono_literals;

result<unique_fd> cgroup::make_member_group() const {
  auto directory = file("freezer", "");
  if (::mkdir(directory.c_str(), 0755) != 0)
    return system_failure("cannot make a control group in the sandbox", errno,
                          errno == ENOENT ? errc::sandbox_not_found : errc::internal);
  // v1's "tasks" moves one thread, and does not make all processes of the machine wait meanwhile.
  auto join = file("freezer", layout_->kind() == cgroup_layout::version::v1 ? "tasks" : "cgroup.procs");
  unique_fd opened{::open(join.c_str(), O_WRONLY | O_CLOEXEC)};
  if (!opened) {
    auto error = errno;
    ::rmdir(directory.c_str());
    return system_failure("cannot open a control group in the sandbox", error);
  }
  return opened;
}

std::vector<std::string> cgroup::member_files(const char* name) const {
  std::vector<std::string> files{file("freezer", name)};
  if (layout_->kind() == cgroup_layout::version::v2)
    return files;
  auto above = path_.substr(0, path_.rfind('/'));
  for (const auto& tree : layout_->trees())
    if (tree != layout_->tree("freezer"))
      files.push_back(tree + above + "/" + name);
  return files;
}

std::vector<std::string> cgroup::joining_files() const {
  return member_files(layout_->kind() == cgroup_layout::version::v1 ? "tasks" : "cgroup.procs");
}

result<void> cgroup::take_in(pid_t pid) const {
  for (const auto& file : member_files("cgroup.procs"))
    if (auto error = write_control_file(file, std::to_string(pid)); error != 0)
      return system_failure("cannot move a process into the sandbox's control group", error,
                            error == ENOENT || error == ESRCH ? errc::sandbox_not_found : errc::internal);
  return caf::unit;
}

void cgroup::remove_empty_below(steady_time deadline,
                                const std::function<bool(const std::string&)>& kept) const {
  for (const auto& name : names_below()) {
    if (kept && kept(name))
      continue;
    auto one = below(name);
    // Whose last process has just ended is still busy for a moment.
    while (::rmdir(one.file("freezer", "").c_str()) != 0 && errno == EBUSY && one.processes().empty() &&
           std::chrono::steady_clock::now() < deadline)
      std::this_thread::sleep_for(1ms);
  }
}

} // namespace sandy::runtime
