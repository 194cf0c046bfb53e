#pragma once

// What the small programs that prepare mounts share. They report the step that failed on standard error and
// end.

#include "runtime/crun/layout.hpp"
#include "runtime/unique_fd.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace sandy::runtime::mounting {

/// How a sandbox's disk is mounted. Nothing on it has to survive a crash of the host: no barriers, and no
/// thread that fills inode tables.
inline constexpr unsigned long disk_flags = MS_NODEV | MS_NOSUID | MS_NOATIME;
inline constexpr const char* disk_options = "nobarrier,noinit_itable";

[[noreturn]] inline void give_up(const char* step) {
  std::fprintf(stderr, "%s: %s\n", step, std::strerror(errno));
  std::_Exit(1);
}

template <class Value>
Value check(Value outcome, const char* step) {
  if (outcome < 0)
    give_up(step);
  return outcome;
}

inline void write_file(const char* path, const char* text, int flags, const char* step) {
  unique_fd file{check(::open(path, flags | O_CLOEXEC, 0600), step)};
  check(::write(file.get(), text, std::strlen(text)), step);
}

/// From here on no mount of ours shows on the host, and all of them go with the last process that has them.
inline void leave_host_mounts() {
  check(::unshare(CLONE_NEWNS), "new mount namespace");
  check(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "make mounts private");
}

/// A user namespace in which the ids from `inside` on stand for those from `outside` on: made by a child,
/// because a process can enter one but not leave it.
inline unique_fd make_user_namespace(unsigned inside, unsigned outside) {
  int ends[2];
  check(::pipe2(ends, O_CLOEXEC), "pipe");
  unique_fd read_end{ends[0]}, write_end{ends[1]};
  auto child = static_cast<pid_t>(check(
      ::syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, nullptr, nullptr, nullptr, 0L), "new user namespace"));
  if (child == 0) {
    write_end.reset();
    char end;
    [[maybe_unused]] auto count = ::read(read_end.get(), &end, 1); // until the parent is done, or dead
    std::_Exit(0);
  }
  char path[64], map[64];
  std::snprintf(map, sizeof map, "%u %u %u\n", inside, outside, ids_per_sandbox);
  for (auto name : {"uid_map", "gid_map"}) {
    std::snprintf(path, sizeof path, "/proc/%d/%s", child, name);
    write_file(path, map, O_WRONLY, "map ids");
  }
  std::snprintf(path, sizeof path, "/proc/%d/ns/user", child);
  unique_fd made{check(::open(path, O_RDONLY | O_CLOEXEC), "open the user namespace")};
  write_end.reset();
  check(::waitpid(child, nullptr, 0), "wait for the user namespace");
  return made;
}

/// A tree of files, read-only: a mount that is nowhere yet. @param ids what owners on disk are shown as, see
/// `make_user_namespace`: an owner on disk counts as inside.
inline unique_fd open_mapped(const char* tree, const unique_fd& ids) {
  unique_fd mount{
      static_cast<int>(check(::syscall(SYS_open_tree, AT_FDCWD, tree, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC),
                             "open a tree of files"))};
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID;
  attributes.userns_fd = static_cast<std::uint64_t>(ids.get());
  check(::syscall(SYS_mount_setattr, mount.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes),
        "map owners (does the file system support id-mapped mounts?)");
  return mount;
}

inline void put(const unique_fd& mount, const char* path) {
  check(::syscall(SYS_move_mount, mount.get(), "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH),
        "mount a tree of files");
}

} // namespace sandy::runtime::mounting
