#pragma once

#include <unistd.h>

#include <utility>

namespace sandy::runtime {

/// Owns a file descriptor. Move only; closes on destruction.
class unique_fd {
public:
  unique_fd() = default;
  explicit unique_fd(int fd) noexcept
      : fd_(fd) {}
  unique_fd(unique_fd&& other) noexcept
      : fd_(other.release()) {}
  unique_fd& operator=(unique_fd&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~unique_fd() { reset(); }

  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  /// Gives up ownership.
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  void reset(int fd = -1) noexcept {
    if (int old = std::exchange(fd_, fd); old >= 0)
      ::close(old); // EINTR still closes on Linux; nothing to repeat
  }

private:
  int fd_ = -1;
};

} // namespace sandy::runtime
