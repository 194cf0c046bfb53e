// sandy-export-tree STAGE TREE...
//
// Writes a file system as a tar to descriptor 3: the trees, bottom first, one on top of the other as
// overlayfs stacks them. For engines that keep images of their own. It becomes tar(1). No mount made here
// ever shows in the host's table, and all of them go with this process.
//
// STAGE: an existing directory, covered here, that no tree lies in. Needs root (CAP_SYS_ADMIN).

#include "runtime/crun/mounting.hpp"

#include <sys/stat.h>

namespace {

using namespace sandy::runtime;
using namespace sandy::runtime::mounting;

} // namespace

int main(int count, char** arguments) {
  constexpr int first_tree = 2;
  const int trees = count - first_tree;
  if (trees < 2 || trees > most_trees + 1) {
    std::fputs("usage: sandy-export-tree STAGE TREE TREE...\n", stderr);
    return 2;
  }
  const char* stage = arguments[1];
  leave_host_mounts();
  check(::mount("stage", stage, "tmpfs", MS_NODEV | MS_NOSUID, "mode=0700,size=1m"), "mount the stage");
  check(::chdir(stage), "enter the stage");
  check(::mkdir("merged", 0755), "make a place for the whole");
  char options[(most_trees + 1) * 4 + 16] = "lowerdir=";
  for (int i = trees - 1; i >= 0; --i) { // the top comes first
    char name[16];
    std::snprintf(name, sizeof name, "%d", i);
    check(::mkdir(name, 0755), "make a place for a tree");
    check(::mount(arguments[first_tree + i], name, nullptr, MS_BIND, nullptr), "mount a tree of files");
    std::strcat(std::strcat(options, name), i > 0 ? ":" : "");
  }
  check(::mount("overlay", "merged", "overlay", MS_RDONLY | MS_NODEV | MS_NOSUID, options),
        "mount the file system");
  check(::chdir("merged"), "enter the file system");
  check(::dup2(3, STDOUT_FILENO), "find descriptor 3");
  ::close(3);
  ::execl("/bin/tar", "tar", "--create", "--file=-", "--numeric-owner", "--one-file-system",
          "--warning=no-file-ignored", ".", nullptr);
  give_up("start tar");
}
