// sandy-copy-layer STAGE LOOP UID TARGET
//
// Copies what a sandbox has written above its image into the empty directory TARGET, where owners are as the
// sandbox sees them, so that the copy serves any other sandbox as a layer. It becomes cp(1), which knows
// holes, links, attributes and the marks that overlayfs leaves for what was removed. The sandbox must be
// frozen.
//
// STAGE: an existing directory, covered here. LOOP: the number of the loop device of the sandbox's disk. UID:
// the host's uid of the sandbox's root. Needs what sandy-launch needs.

#include "runtime/crun/mounting.hpp"

namespace {

using namespace sandy::runtime;
using namespace sandy::runtime::mounting;

} // namespace

int main(int count, char** arguments) {
  if (count != 5) {
    std::fputs("usage: sandy-copy-layer STAGE LOOP UID TARGET\n", stderr);
    return 2;
  }
  const char *stage = arguments[1], *target = arguments[4];
  auto uid = static_cast<unsigned>(std::strtoul(arguments[3], nullptr, 10));
  leave_host_mounts();
  char path[32];
  std::snprintf(path, sizeof path, "/dev/loop%lu", std::strtoul(arguments[2], nullptr, 10));
  // A second mount of a file system that is mounted already: the kernel's own view of it, nothing is read
  // twice.
  check(::mount(path, stage, "ext4", disk_flags, disk_options), "mount the disk");
  check(::chdir(stage), "enter the disk");
  {
    auto ids = make_user_namespace(uid, 0);
    auto upper = open_mapped("upper", ids);
    put(upper, "merged"); // a directory that is there; what is mounted over it elsewhere is not touched
  }
  check(::chdir("merged"), "enter what the sandbox wrote");
  ::execl("/bin/cp", "cp", "--archive", "--one-file-system", "--no-target-directory", ".", target, nullptr);
  give_up("start cp");
}
