#include "runtime/guest/failures.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace sandy::guest {

namespace {

/// Longest text of a guest that reaches a caller.
constexpr std::size_t max_subject = 4096;

std::string printable(std::string text) {
  text.resize(std::min(text.size(), max_subject));
  std::replace_if(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return text;
}

caf::error file_error(int error, const std::string& path) {
  switch (error) {
  case ENOENT:
    return fail(errc::file_not_found, "File not found: " + path);
  case EISDIR:
    return fail(errc::is_directory, "Is a directory: " + path);
  case ENOTDIR:
    return fail(errc::not_a_directory, "Not a directory: " + path);
  case EACCES:
  case EPERM:
  case EROFS:
    return fail(errc::permission_denied, "Permission denied: " + path);
  case EEXIST:
    return fail(errc::file_exists, "File exists: " + path);
  case ENOTEMPTY:
    return fail(errc::directory_not_empty, "Directory not empty: " + path);
  case ENOSPC:
  case EDQUOT:
  case EFBIG:
    return fail(errc::disk_full, "No space left on the sandbox's disk: " + path);
  case EBUSY:
  case ETXTBSY:
    return fail(errc::conflict, "In use: " + path);
  case EAGAIN:
  case EMFILE:
  case ENFILE:
  case ENOMEM:
  case EUSERS:
    return fail(errc::limit_reached,
                "A limit of the sandbox was reached: " + std::string{std::strerror(error)});
  case EINVAL:
  case ELOOP:
  case ENAMETOOLONG:
  case ENXIO:
  case EXDEV:
    return fail(errc::invalid_argument, std::string{std::strerror(error)} + ": " + path);
  case EIO: // memory of a process, and the like: there to be opened, not to be read
    if (path.starts_with("/proc/") || path.starts_with("/sys/"))
      return fail(errc::permission_denied, "Cannot be read: " + path);
    [[fallthrough]];
  default:
    return fail(errc::sandbox_failed, std::string{std::strerror(error)} + ": " + path);
  }
}

caf::error start_error(int error) {
  switch (error) {
  case EAGAIN:
    return fail(errc::limit_reached, "The sandbox has reached its limit of processes");
  case ENOMEM:
    return fail(errc::limit_reached, "The sandbox is out of memory");
  case EMFILE:
  case ENFILE:
    return fail(errc::limit_reached, "The sandbox has too many open files");
  case ESRCH:
    return fail(errc::process_not_found, "No such process");
  case EPERM:
    return fail(errc::permission_denied, "The sandbox's kernel refused it");
  default:
    return fail(errc::sandbox_failed,
                "The command could not be started: " + std::string{std::strerror(error)});
  }
}

} // namespace

caf::error error_of(const failure& why) {
  auto subject = printable(why.subject);
  switch (why.kind) {
  case failure_kind::file:
    return file_error(why.error, subject);
  case failure_kind::working_directory:
    if (why.error == ENOENT || why.error == ENOTDIR)
      return fail(errc::invalid_argument, "The working directory does not exist: " + subject);
    return file_error(why.error, subject);
  case failure_kind::program:
    if (why.error == ENOENT)
      return fail(errc::invalid_argument, "The program does not exist: " + subject);
    if (why.error == ENOEXEC)
      return fail(errc::invalid_argument, "Not a program: " + subject);
    if (why.error == E2BIG)
      return fail(errc::invalid_argument, "The arguments or the environment are too large");
    if (why.error == EAGAIN || why.error == ENOMEM)
      return start_error(why.error);
    return file_error(why.error, subject);
  case failure_kind::start:
    return start_error(why.error);
  case failure_kind::unknown_process:
    return fail(errc::process_not_found, "No such process");
  case failure_kind::process_ended:
    return fail(errc::conflict, "The process has ended");
  case failure_kind::input_closed:
    return fail(errc::conflict, "The process reads no input");
  case failure_kind::terminal:
    if (why.error == ENOSPC)
      return fail(errc::limit_reached, "The sandbox has no terminal left");
    return fail(errc::conflict, "The sandbox has no terminal: " + std::string{std::strerror(why.error)});
  case failure_kind::too_many:
    return fail(errc::limit_reached, subject);
  case failure_kind::invalid:
    return fail(errc::invalid_argument, subject);
  case failure_kind::protocol:
    break;
  }
  return fail(errc::sandbox_failed, "The sandbox's first process did not understand the server");
}

} // namespace sandy::guest
