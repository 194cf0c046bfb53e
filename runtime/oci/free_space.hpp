#pragma once

#include "messages/error.hpp"

#include <cstdint>

namespace sandy::runtime::oci {

/// Watches that what is written leaves some of a disk free for everything else.
class free_space {
public:
  /// @param directory on the disk; outlives this.
  explicit free_space(int directory)
      : directory_(directory) {}

  /// Call with what is about to be written. Fails with capacity_exhausted when less than a twentieth of the
  /// disk would be left, looked up every 64 MiB.
  result<void> take(std::uint64_t bytes);

private:
  int directory_;
  std::uint64_t until_look_ = 0;
};

} // namespace sandy::runtime::oci
