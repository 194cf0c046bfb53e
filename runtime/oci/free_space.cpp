#include "runtime/oci/free_space.hpp"

#include "runtime/system_failure.hpp"

#include <sys/statvfs.h>

namespace sandy::runtime::oci {

namespace {

constexpr std::uint64_t between_looks = 64 << 20;
constexpr std::uint64_t spared_part = 20;

} // namespace

result<void> free_space::take(std::uint64_t bytes) {
  if (bytes <= until_look_) {
    until_look_ -= bytes;
    return caf::unit;
  }
  struct statvfs about{};
  if (::fstatvfs(directory_, &about) != 0)
    return system_failure("cannot ask for the space on the disk");
  auto available = about.f_bavail * about.f_frsize, spared = about.f_blocks * about.f_frsize / spared_part;
  if (bytes + between_looks + spared > available)
    return fail(errc::capacity_exhausted, "There is no space left for images");
  until_look_ = between_looks;
  return caf::unit;
}

} // namespace sandy::runtime::oci
