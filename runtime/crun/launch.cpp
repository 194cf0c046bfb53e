// sandy-launch STAGE BOX ROOTFS UID -- CRUN ARGUMENT...
//
// Prepares the mounts of one sandbox in a mount namespace of its own and becomes crun there. A program rather
// than a part of the server because a mount namespace belongs to a process; small and static because it
// starts with every sandbox. No mount made here ever shows in the host's table, and all of them go with the
// sandbox's last process.
//
// STAGE: an existing directory that every user can reach, covered here. BOX: the sandbox's directory, holding
// `disk`. ROOTFS: the image. UID: the host's uid of the sandbox's root. Descriptors from 3 on are passed
// through. Needs root (CAP_SYS_ADMIN, CAP_SETUID) and kernel 5.19 (id-mapped mounts below overlayfs).

#include "runtime/disk_files.hpp"
#include "runtime/unique_fd.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/loop.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

using sandy::runtime::unique_fd;

constexpr unsigned ids_per_sandbox = 65'536;

[[noreturn]] void give_up(const char* step) {
  std::fprintf(stderr, "sandy-launch: %s: %s\n", step, std::strerror(errno));
  std::_Exit(1);
}

template <class Value>
Value check(Value outcome, const char* step) {
  if (outcome < 0)
    give_up(step);
  return outcome;
}

void write_file(const char* path, const char* text, int flags, const char* step) {
  unique_fd file{check(::open(path, flags | O_CLOEXEC, 0600), step)};
  check(::write(file.get(), text, std::strlen(text)), step);
}

void leave_host_mounts() {
  check(::unshare(CLONE_NEWNS), "new mount namespace");
  check(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "make mounts private");
  // crun refuses to work where v2 sits beside v1 and owns a controller; here it does not see it.
  if (::umount2("/sys/fs/cgroup/unified", MNT_DETACH) != 0 && errno != EINVAL && errno != ENOENT)
    give_up("hide the second control group tree");
}

/// Attaches the disk to a free loop device that detaches itself when its last user is gone, and mounts it on
/// the stage.
void mount_disk(const char* stage) {
  unique_fd control{check(::open("/dev/loop-control", O_RDWR | O_CLOEXEC), "open /dev/loop-control")};
  unique_fd disk{check(::open("disk", O_RDWR | O_CLOEXEC), "open the disk")};
  unique_fd device;
  char path[32];
  for (int attempts = 0;; ++attempts) {
    auto number = check(::ioctl(control.get(), LOOP_CTL_GET_FREE), "find a free loop device");
    std::snprintf(path, sizeof path, "%d\n", number);
    // Written first: who destroys the sandbox has to know which device to wait for.
    write_file("loop", path, O_WRONLY | O_CREAT | O_TRUNC, "note the loop device");
    std::snprintf(path, sizeof path, "/dev/loop%d", number);
    device.reset(check(::open(path, O_RDWR | O_CLOEXEC), "open the loop device"));
    loop_config config{};
    config.fd = static_cast<unsigned>(disk.get());
    config.block_size = 4096;
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
    if (::ioctl(device.get(), LOOP_CONFIGURE, &config) == 0)
      break;
    constexpr int most_attempts = 1000; // another launcher took it: every loss is somebody's success
    if (errno != EBUSY || attempts == most_attempts)
      give_up("attach the disk");
  }
  // Nothing here has to survive a crash of the host: no barriers, and no thread that fills inode tables.
  check(::mount(path, stage, "ext4", MS_NODEV | MS_NOSUID | MS_NOATIME, "nobarrier,noinit_itable"),
        "mount the disk");
}

void give_files_to(unsigned uid) {
  auto give = [uid](const char* path) { check(::lchown(path, uid, uid), "give the sandbox its files"); };
  give("upper");
  char path[64];
  for (const auto& file : sandy::runtime::disk_files) {
    std::snprintf(path, sizeof path, "upper/%s", file.path);
    give(path);
  }
}

/// A user namespace that maps the sandbox's ids: made by a child, because a process can enter one but not
/// leave it.
unique_fd make_user_namespace(unsigned uid) {
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
  std::snprintf(map, sizeof map, "0 %u %u\n", uid, ids_per_sandbox);
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

/// The image, read-only, its owners shown as the sandbox's: a mount that is nowhere yet.
unique_fd open_image(const char* rootfs, unsigned uid) {
  auto ids = make_user_namespace(uid);
  unique_fd tree{static_cast<int>(check(
      ::syscall(SYS_open_tree, AT_FDCWD, rootfs, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC), "open the image"))};
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID;
  attributes.userns_fd = static_cast<std::uint64_t>(ids.get());
  check(::syscall(SYS_mount_setattr, tree.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes),
        "map the image's owners (does its file system support id-mapped mounts?)");
  return tree;
}

} // namespace

int main(int count, char** arguments) {
  constexpr int own_arguments = 6; // up to and with "--"
  if (count <= own_arguments || std::strcmp(arguments[5], "--") != 0) {
    std::fputs("usage: sandy-launch STAGE BOX ROOTFS UID -- CRUN ARGUMENT...\n", stderr);
    return 2;
  }
  const char *stage = arguments[1], *box = arguments[2], *rootfs = arguments[3];
  auto uid = static_cast<unsigned>(std::strtoul(arguments[4], nullptr, 10));
  leave_host_mounts();
  auto image = open_image(rootfs, uid); // before the stage is covered: it may lie there
  check(::chdir(box), "enter the sandbox's directory");
  mount_disk(stage);
  check(::chdir(stage), "enter the disk");
  give_files_to(uid);
  check(::syscall(SYS_move_mount, image.get(), "", AT_FDCWD, "lower", MOVE_MOUNT_F_EMPTY_PATH),
        "mount the image");
  // Relative names, because the sandbox reads them in /proc/mounts. "volatile": nothing to sync, not even at
  // the end.
  check(::mount("overlay", "merged", "overlay", MS_NODEV | MS_NOSUID | MS_NOATIME,
                "lowerdir=lower,upperdir=upper,workdir=work,volatile"),
        "mount the file system");
  check(::chdir("/"), "leave the disk");
  ::execv(arguments[own_arguments], arguments + own_arguments);
  give_up("start crun");
}
