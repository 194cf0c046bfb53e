#pragma once

#include "messages/error.hpp"

#include <string>

namespace sandy {

/// Holds an exclusive lock on a file, which is created and stays. The kernel lets go of it with the last
/// process that has the descriptor, so a killed server leaves no lock behind. See flock(2).
class file_lock {
public:
  /// Waits for a second: blocks. Fails with conflict when somebody holds it that long, with internal when the
  /// file cannot be made.
  /// @param what named in the error, e.g. "The database /var/lib/sandy/sandy.db".
  static result<file_lock> take(const std::string& path, const std::string& what);

  file_lock(file_lock&& other) noexcept;
  file_lock& operator=(file_lock&& other) noexcept;
  ~file_lock();

private:
  explicit file_lock(int fd) noexcept
      : fd_(fd) {}
  int fd_;
};

} // namespace sandy
