#include "runtime/process.hpp"

#include "runtime/files.hpp"
#include "runtime/system_failure.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <sstream>

namespace sandy::runtime {

std::optional<std::uint64_t> process_start_ticks(pid_t pid) {
  auto stat = read_small_file("/proc/" + std::to_string(pid) + "/stat");
  if (!stat)
    return std::nullopt;
  // The command name, in parentheses, may hold anything: count fields behind the last parenthesis, which ends
  // field 2.
  auto at = stat->rfind(')');
  if (at == std::string::npos)
    return std::nullopt;
  for (int field = 2; field < 22; ++field) {
    at = stat->find(' ', at + 1);
    if (at == std::string::npos)
      return std::nullopt;
  }
  std::uint64_t ticks = 0;
  auto first = stat->data() + at + 1;
  if (std::from_chars(first, stat->data() + stat->size(), ticks).ec != std::errc{})
    return std::nullopt;
  return ticks;
}

std::optional<std::uint32_t> host_uid_of_root(pid_t pid) {
  // "0 UID 65536": inside, outside, how many (user_namespaces(7)).
  std::istringstream map{read_small_file("/proc/" + std::to_string(pid) + "/uid_map").value_or("")};
  std::uint32_t inside = 0, outside = 0;
  if (map >> inside >> outside && inside == 0)
    return outside;
  return std::nullopt;
}

result<unique_fd> open_pidfd(pid_t pid) {
  unique_fd pidfd{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
  if (!pidfd)
    return system_failure("cannot open the process", errno, errc::sandbox_not_found);
  return pidfd;
}

void kill_process(int pidfd) noexcept { ::syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, nullptr, 0); }

int milliseconds_until(steady_time deadline) {
  auto left =
      std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
  return static_cast<int>(std::clamp<std::chrono::milliseconds::rep>(left, 0, 1'000'000));
}

bool wait_for_exit(int pidfd, steady_time deadline) {
  for (;;) {
    pollfd item{pidfd, POLLIN, 0};
    auto count = ::poll(&item, 1, milliseconds_until(deadline));
    if (count > 0) {
      // A server that is process 1 of a container, or a subreaper, inherits the sandbox's process 1 from
      // crun.
      siginfo_t info{};
      ::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd), &info, WEXITED | WNOHANG);
      return true;
    }
    if (count == 0 || errno != EINTR)
      return false;
  }
}

std::vector<pid_t> processes_holding(const std::string& path) {
  std::vector<pid_t> found;
  struct stat wanted{};
  if (::stat(path.c_str(), &wanted) != 0)
    return found;
  for (const auto& name : names_in("/proc")) {
    pid_t pid = 0;
    auto parsed = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (parsed.ec != std::errc{} || parsed.ptr != name.data() + name.size() || pid == ::getpid())
      continue;
    auto directory = "/proc/" + name + "/fd/";
    for (const auto& fd : names_in(directory)) {
      struct stat held{};
      if (::stat((directory + fd).c_str(), &held) == 0 && held.st_ino == wanted.st_ino &&
          held.st_dev == wanted.st_dev) {
        found.push_back(pid);
        break;
      }
    }
  }
  return found;
}

} // namespace sandy::runtime
