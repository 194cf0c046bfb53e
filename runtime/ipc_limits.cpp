#include "runtime/ipc_limits.hpp"

#include "runtime/files.hpp"
#include "runtime/foreign_namespace.hpp"
#include "runtime/system_failure.hpp"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

namespace sandy::runtime {

result<void> limit_ipc(int pidfd, std::uint32_t root_uid, std::uint64_t memory_bytes) {
  constexpr std::uint64_t page_bytes = 4096;
  const std::pair<const char*, std::string> settings[] = {
      {"shmall", std::to_string(memory_bytes / 8 / page_bytes)},
      {"shm_rmid_forced", "1"},
      {"msgmni", "256"},          // queues, of 16 KiB each
      {"sem", "250 8192 100 256"} // per set, in all, per call, sets: at most 0.5 MiB
  };
  int error = 0;
  // /proc/sys shows the namespace of whoever opens it.
  auto write_all = [&] {
    error = 0;
    for (const auto& [name, value] : settings)
      if (error == 0)
        error = write_control_file(std::string{"/proc/sys/kernel/"} + name, value);
  };
  auto entered = run_in_namespaces(pidfd, CLONE_NEWIPC, [&] {
    write_all();
    // Since 6.9 the settings belong to the sandbox's root, and the host's does not stand above it. The call
    // as such, not libc's function, changes this thread alone, and the thread ends with this.
    if (error == EACCES && ::syscall(SYS_setresuid, -1, root_uid, -1) == 0)
      write_all();
  });
  if (entered != 0 || error != 0)
    return system_failure("cannot limit the sandbox's shared memory", entered != 0 ? entered : error,
                          errc::sandbox_failed);
  return caf::unit;
}

} // namespace sandy::runtime
