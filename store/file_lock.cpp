#include "store/file_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

namespace sandy {

namespace {

using namespace std::chrono_literals;

/// A child that a server has just forked has the descriptor until it becomes another program: after a kill
/// of the server the lock may be held for that moment.
constexpr auto patience = 1s;
constexpr auto pause = 5ms;

} // namespace

result<file_lock> file_lock::take(const std::string& path, const std::string& what) {
  // Closed on exec: a program the server starts must not keep the lock beyond the server's life.
  int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0)
    return fail(errc::internal, "Cannot open " + path + ": " + std::strerror(errno));
  file_lock lock(fd);
  for (auto until = std::chrono::steady_clock::now() + patience; ::flock(fd, LOCK_EX | LOCK_NB) != 0;) {
    if (errno != EWOULDBLOCK && errno != EINTR)
      return fail(errc::internal, "Cannot lock " + path + ": " + std::strerror(errno));
    if (std::chrono::steady_clock::now() >= until)
      return fail(errc::conflict, what + " is in use by another server");
    std::this_thread::sleep_for(pause);
  }
  return lock;
}

file_lock::file_lock(file_lock&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)) {}

file_lock& file_lock::operator=(file_lock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

file_lock::~file_lock() {
  if (fd_ >= 0)
    ::close(fd_);
}

} // namespace sandy
