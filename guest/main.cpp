// sandy-guest [--lease-ms N] [--subreaper] [--hatch PATH]
// Process 1 of a sandbox. Descriptor 3 is a listening unix stream socket; its path exists on the host only.
// --hatch: started by an engine that passes no descriptors, it is given that socket by whoever listens at
// PATH.
// --subreaper: adopt orphans without being process 1, for tests without rights.

#include "guest/hatch.hpp"
#include "guest/process_tree.hpp"
#include "guest/server.hpp"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string_view>

namespace {

using namespace sandy::guest;

/// Above the guest's own by this much: with memory exhausted a child is chosen as long as it has half of the
/// limit less than us.
constexpr int child_oom_bonus = 500;

constexpr int listener_fd = 3;

/// Writes what went wrong where the launcher can see it, and ends.
[[noreturn]] void give_up(std::string_view what) {
  [[maybe_unused]] auto written = ::write(2, what.data(), what.size());
  ::_exit(1);
}

int own_oom_score_adj() {
  unique_fd file{::open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC)};
  char text[16];
  auto count = file ? ::read(file.get(), text, sizeof text) : 0;
  int value = 0;
  if (count > 0)
    std::from_chars(text, text + count, value);
  return value;
}

/// Raises our own limit of open files, because one connection is one descriptor; children get what there was.
child_defaults prepare_limits() {
  child_defaults defaults;
  defaults.oom_score_adj = std::min(own_oom_score_adj() + child_oom_bonus, 1000);
  if (::getrlimit(RLIMIT_NOFILE, &defaults.open_files) != 0)
    give_up("sandy-guest: getrlimit failed\n");
  rlimit raised = defaults.open_files;
  raised.rlim_cur = raised.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &raised) != 0)
    give_up("sandy-guest: setrlimit failed\n");
  return defaults;
}

/// Lets go of what the launcher had open: nothing of the host stays in here, and nobody waits for our output
/// to end.
void drop_descriptors() {
  unique_fd null{::open("/dev/null", O_RDWR | O_CLOEXEC)};
  for (int standard = 0; standard < 3; ++standard)
    if (!null || ::dup2(null.get(), standard) < 0)
      give_up("sandy-guest: cannot open /dev/null\n");
  if (::syscall(SYS_close_range, listener_fd + 1u, ~0u, 0u) != 0)
    ::_exit(1);
  [[maybe_unused]] int closed = null.release();
}

/// Default dispositions for everything (children inherit them), and all signals blocked: the only one looked
/// at is SIGCHLD.
unique_fd prepare_signals() {
  struct sigaction standard{};
  standard.sa_handler = SIG_DFL;
  for (int number = 1; number <= SIGRTMAX; ++number)
    ::sigaction(number, &standard,
                nullptr); // fails for SIGKILL, SIGSTOP and libc's own two, which are default anyway
  sigset_t all, children;
  ::sigfillset(&all);
  for (int fault : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT})
    ::sigdelset(&all, fault);
  ::sigemptyset(&children);
  ::sigaddset(&children, SIGCHLD);
  if (::sigprocmask(SIG_SETMASK, &all, nullptr) != 0)
    give_up("sandy-guest: sigprocmask failed\n");
  return unique_fd{::signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK)};
}

} // namespace

int main(int count, char** arguments) {
  std::uint64_t lease_ms = 0;
  bool subreaper = false;
  const char* hatch = nullptr;
  for (int i = 1; i < count; ++i) {
    std::string_view argument = arguments[i];
    if (argument == "--lease-ms" && i + 1 < count) {
      auto* text = arguments[++i];
      auto* end = text + std::strlen(text);
      if (auto [rest, error] = std::from_chars(text, end, lease_ms); error != std::errc{} || rest != end)
        give_up("sandy-guest: --lease-ms wants a number\n");
    } else if (argument == "--subreaper") {
      subreaper = true;
    } else if (argument == "--hatch" && i + 1 < count) {
      hatch = arguments[++i];
    } else {
      give_up("usage: sandy-guest [--lease-ms N] [--subreaper] [--hatch PATH]\n");
    }
  }
  // Memory that a large operation needed goes back to the kernel: there may be a thousand of us on one
  // machine.
  ::mallopt(M_TRIM_THRESHOLD, 64 * 1024);
  ::mallopt(M_MMAP_THRESHOLD, 64 * 1024);
  ::mallopt(M_TOP_PAD, 0);
  // Executed through a descriptor, which would otherwise be the name that process lists show.
  ::prctl(PR_SET_NAME, "sandy-guest");
  // Non-dumpable: nobody inside may trace us or look at our memory and descriptors.
  if (::prctl(PR_SET_DUMPABLE, 0) != 0 || ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    give_up("sandy-guest: prctl failed\n");
  if (subreaper && ::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
    give_up("sandy-guest: cannot adopt orphans\n");
  if (hatch != nullptr && !take_listener(hatch, listener_fd))
    give_up("sandy-guest: was not given a listener\n");
  if (::fcntl(listener_fd, F_SETFD, FD_CLOEXEC) != 0 || ::fcntl(listener_fd, F_SETFL, O_NONBLOCK) != 0)
    give_up("sandy-guest: descriptor 3 is not a listener\n");
  drop_descriptors();
  ::umask(022);
  auto defaults = prepare_limits();
  auto signals = prepare_signals();
  if (!signals)
    give_up("sandy-guest: signalfd failed\n");
  server process_one{unique_fd{listener_fd}, std::move(signals), defaults, lease_ms};
  bool served = process_one.run();
  // As process 1 our end is everybody's: the kernel kills the whole namespace. Else the tree is ours to end.
  if (::getpid() != 1)
    kill_descendants();
  // Without destructors: nothing we hold outlives us, and it must not take long.
  ::_exit(served ? 0 : 1);
}
