#include "runtime/system_failure.hpp"

#include <system_error>

namespace sandy::runtime {

bool is_exhaustion(int error) noexcept {
  switch (error) {
  case ENOSPC:
  case EDQUOT:
  case ENOMEM:
  case EAGAIN:
  case EMFILE:
  case ENFILE:
  case EUSERS:
    return true;
  default:
    return false;
  }
}

bool mentions_exhaustion(std::string_view complaint) noexcept {
  for (auto sign : {"No space left on device", "Disk quota exceeded", "Cannot allocate memory",
                    "Resource temporarily unavailable", "Too many open files"})
    if (complaint.find(sign) != std::string_view::npos)
      return true;
  return false;
}

caf::error system_failure(std::string_view what, int error, errc code) {
  // std::generic_category, unlike strerror, is thread safe.
  return fail(is_exhaustion(error) ? errc::capacity_exhausted : code,
              std::string{what} + ": " + std::generic_category().message(error));
}

} // namespace sandy::runtime
