#include "runtime/crun/guest_program.hpp"

#include "runtime/files.hpp"
#include "runtime/system_failure.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <thread>

namespace sandy::runtime {

namespace {

/// Returns 0 or the errno.
int seal(int memory) {
  // The kernel may for a moment still hold pages that were just written, as if somebody could write to them.
  constexpr int most_attempts = 20;
  for (int attempt = 1;; ++attempt) {
    if (::fcntl(memory, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0)
      return 0;
    if (errno != EBUSY || attempt == most_attempts)
      return errno;
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  }
}

} // namespace

result<unique_fd> seal_program(const std::string& path) {
  constexpr std::size_t largest_program = 64 << 20;
  auto program = read_small_file(path, largest_program);
  if (!program)
    return system_failure("cannot read the guest program " + path);
  unique_fd memory{::memfd_create("sandy-guest", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
  if (!memory)
    return system_failure("cannot make memory for the guest program");
  for (std::string_view rest{*program}; !rest.empty();) {
    auto count = ::write(memory.get(), rest.data(), rest.size());
    if (count < 0)
      return system_failure("cannot copy the guest program");
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
  // Readable and executable for all: the sandbox's root is somebody else on the host.
  if (::fchmod(memory.get(), 0555) != 0)
    return system_failure("cannot make the guest program executable");
  if (auto error = seal(memory.get()); error != 0)
    return system_failure("cannot seal the guest program", error);
  // The same file, opened for reading: a descriptor that may write is not handed into a sandbox.
  unique_fd readable{::open(("/proc/self/fd/" + std::to_string(memory.get())).c_str(), O_RDONLY | O_CLOEXEC)};
  if (!readable)
    return system_failure("cannot open the guest program");
  return readable;
}

} // namespace sandy::runtime
