// sandy-launch [--join FILE]... STAGE BOX UID TREE... -- CRUN ARGUMENT...
//
// Prepares the mounts of one sandbox in a mount namespace of its own and becomes crun there. A program rather
// than a part of the server because a mount namespace belongs to a process; small and static because it
// starts with every sandbox. No mount made here ever shows in the host's table, and all of them go with the
// sandbox's last process.
//
// FILE: of a control group that it joins before it becomes crun. STAGE: an existing directory that
// every user can reach, covered here. BOX: the sandbox's directory, holding `disk`. UID: the host's uid of
// the sandbox's root. TREE: the image's, then the layers above it, bottom first. Descriptors from 3 on are
// passed through. Needs root (CAP_SYS_ADMIN, CAP_SETUID) and kernel 5.19 (id-mapped mounts below overlayfs).

#include "runtime/crun/mounting.hpp"
#include "runtime/disk_files.hpp"

#include <sys/ioctl.h>
#include <sys/stat.h>

#include <linux/loop.h>

namespace {

using namespace sandy::runtime;
using namespace sandy::runtime::mounting;

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
  check(::mount(path, stage, "ext4", disk_flags, disk_options), "mount the disk");
}

void give_files_to(unsigned uid) {
  auto give = [uid](const char* path) { check(::lchown(path, uid, uid), "give the sandbox its files"); };
  give("upper");
  char path[64];
  for (const auto& file : disk_files) {
    std::snprintf(path, sizeof path, "upper/%s", file.path);
    give(path);
  }
}

/// crun refuses to work where v2 sits beside v1 and owns a controller; here it does not see it.
void hide_second_cgroup_tree() {
  if (::umount2("/sys/fs/cgroup/unified", MNT_DETACH) != 0 && errno != EINVAL && errno != ENOENT)
    give_up("hide the second control group tree");
}

} // namespace

int main(int count, char** arguments) {
  int joined = 0;
  for (; count > 2 && std::strcmp(arguments[1], "--join") == 0; count -= 2, arguments += 2)
    ++joined;
  constexpr int first_tree = 4;
  int trees = 0;
  while (first_tree + trees < count && std::strcmp(arguments[first_tree + trees], "--") != 0)
    ++trees;
  const int program = first_tree + trees + 1;
  if (trees == 0 || trees > most_trees || program >= count) {
    std::fputs("usage: sandy-launch [--join FILE]... STAGE BOX UID TREE... -- CRUN ARGUMENT...\n", stderr);
    return 2;
  }
  const char *stage = arguments[1], *box = arguments[2];
  auto uid = static_cast<unsigned>(std::strtoul(arguments[3], nullptr, 10));
  leave_host_mounts();
  hide_second_cgroup_tree();
  unique_fd opened[most_trees]; // before the stage is covered: they may lie there
  {
    auto ids = make_user_namespace(0, uid);
    for (int i = 0; i < trees; ++i)
      opened[i] = open_mapped(arguments[first_tree + i], ids);
  }
  check(::chdir(box), "enter the sandbox's directory");
  mount_disk(stage);
  check(::chdir(stage), "enter the disk");
  give_files_to(uid);
  put(opened[0], "lower");
  // Relative names, because the sandbox reads them in /proc/mounts. The top comes first.
  char options[most_trees * 4 + 128] = "lowerdir=";
  for (int i = trees - 1; i > 0; --i) {
    char name[16];
    std::snprintf(name, sizeof name, "%d", i);
    check(::mkdir(name, 0755), "make a place for a layer");
    put(opened[i], name);
    std::strcat(std::strcat(options, name), ":");
  }
  // "volatile": nothing to sync, not even at the end.
  std::strcat(options, "lower,upperdir=upper,workdir=work,volatile");
  check(::mount("overlay", "merged", "overlay", MS_NODEV | MS_NOSUID | MS_NOATIME, options),
        "mount the file system");
  check(::chdir("/"), "leave the disk");
  // As late as this, because there the loop device is out of reach.
  for (; joined > 0; --joined)
    write_file(arguments[2 - 2 * joined], "0", O_WRONLY, "join the sandbox's control group");
  ::execv(arguments[program], arguments + program);
  give_up("start crun");
}
