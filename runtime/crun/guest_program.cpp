#include "runtime/crun/guest_program.hpp"

#include "runtime/system_failure.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

namespace sandy::runtime {

result<unique_fd> seal_program(const std::string& path) {
  unique_fd source{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat about{};
  if (!source || ::fstat(source.get(), &about) != 0)
    return system_failure("cannot read the guest program " + path);
  unique_fd memory{::memfd_create("sandy-guest", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
  if (!memory)
    return system_failure("cannot make memory for the guest program");
  for (off_t done = 0; done < about.st_size;) {
    auto count = ::sendfile(memory.get(), source.get(), &done, static_cast<std::size_t>(about.st_size - done));
    if (count <= 0)
      return system_failure("cannot copy the guest program", count < 0 ? errno : EIO);
  }
  // Readable and executable for all: the sandbox's root is somebody else on the host.
  if (::fchmod(memory.get(), 0555) != 0
      || ::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0)
    return system_failure("cannot seal the guest program");
  // The same file, opened for reading: a descriptor that may write is not handed into a sandbox.
  unique_fd readable{::open(("/proc/self/fd/" + std::to_string(memory.get())).c_str(), O_RDONLY | O_CLOEXEC)};
  if (!readable)
    return system_failure("cannot open the guest program");
  return readable;
}

} // namespace sandy::runtime
