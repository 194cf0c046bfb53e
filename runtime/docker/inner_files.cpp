#include "runtime/docker/inner_files.hpp"

#include "runtime/disk_files.hpp"
#include "runtime/docker/container_request.hpp"
#include "runtime/foreign_namespace.hpp"
#include "runtime/system_failure.hpp"
#include "runtime/unique_fd.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <string>

namespace sandy::runtime::docker {

namespace {

/// Returns 0 or the errno.
int unmount(const char* path) {
  // EINVAL: not a mount point, with an engine that leaves it out.
  auto gone = ::umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0 || errno == EINVAL || errno == ENOENT;
  return gone ? 0 : errno;
}

/// Engines leave an empty file below what they mount.
int fill(const std::string& path, std::string_view content) {
  unique_fd file{
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644)};
  if (!file)
    return errno == ELOOP ? 0 : errno; // the image has a link there: its own affair
  return ::write(file.get(), content.data(), content.size()) >= 0 ? 0 : errno;
}

} // namespace

result<void> settle_files_inside(int pidfd, std::uint64_t tmp_files) {
  int error = 0;
  const auto bound = "nr_inodes=" + std::to_string(tmp_files);
  auto entered = run_in_namespaces(pidfd, CLONE_NEWNS, [&] {
    error = unmount(hatch_inside);
    // With v1 engines leave a tmpfs without a bound there, which nobody is killed out of.
    constexpr auto fixed = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
    if (error == 0 && ::mount(nullptr, "/sys/fs/cgroup", nullptr, fixed, nullptr) != 0 && errno != EINVAL &&
        errno != ENOENT)
      error = errno;
    // Podman takes no such bound. What is not said stays.
    if (error == 0 && tmp_files > 0 &&
        ::mount(nullptr, "/tmp", nullptr, MS_REMOUNT | MS_NOSUID | MS_NODEV, bound.c_str()) != 0)
      error = errno;
    // Podman's sign that this is a container, a file of the host's.
    if (constexpr auto sign = "/run/.containerenv";
        error == 0 && ::umount2(sign, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
      ::unlink(sign);
    for (const auto& file : disk_files) {
      if (file.content == nullptr || error != 0)
        continue;
      auto path = "/" + std::string{file.path};
      error = unmount(path.c_str());
      if (error == 0)
        error = fill(path, file.content);
    }
  });
  if (entered != 0 || error != 0)
    return system_failure("cannot settle the sandbox's files", entered != 0 ? entered : error,
                          errc::sandbox_failed);
  return caf::unit;
}

result<void> show_groups_inside(int pidfd, const std::vector<visible_group>& groups) {
  std::vector<unique_fd> views;
  for (const auto& group : groups) {
    unique_fd view{::open_tree(AT_FDCWD, group.directory.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)};
    mount_attr attributes{};
    attributes.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    if (!view || ::mount_setattr(view.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0)
      return system_failure("cannot show the sandbox's control group", errno, errc::sandbox_failed);
    views.push_back(std::move(view));
  }
  int error = 0;
  auto entered = run_in_namespaces(pidfd, CLONE_NEWNS, [&] {
    for (std::size_t i = 0; i < groups.size() && error == 0; ++i)
      if (::move_mount(views[i].get(), "", AT_FDCWD, groups[i].inside.c_str(),
                       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS) != 0 &&
          errno != ENOENT)
        error = errno;
  });
  if (entered != 0 || error != 0)
    return system_failure("cannot show the sandbox's control group", entered != 0 ? entered : error,
                          errc::sandbox_failed);
  return caf::unit;
}

} // namespace sandy::runtime::docker
