#pragma once

#include "messages/error.hpp"
#include "runtime/process.hpp"

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace sandy::runtime {

/// What a freshly made ext4 image of one size consists of: its size and the few blocks that are not zero
/// (about 90 KiB).
struct disk_template {
  struct piece {
    std::int64_t offset = 0;
    std::vector<char> bytes;
  };
  std::uint64_t size_bytes = 0;
  std::vector<piece> pieces;
};

/// Makes the disks of sandboxes: sparse ext4 images without journal, whose size is the hard bound of what the
/// sandbox writes, in bytes and in files. An image is made with mke2fs once per size (about 15 ms) and copied
/// block by block from memory after (0.1 ms). Thread safe.
///
/// The root of the file system holds the directories the launcher mounts with: `lower`, `upper`, `work`,
/// `merged`; `upper` comes with the files every sandbox needs, see `disk_files`.
class disk_maker {
public:
  /// @param directory where templates are built, in a directory "disk-template" that is gone when they are.
  explicit disk_maker(std::string directory);

  /// Creates a disk at `path`, which must not exist. Blocking. @param size_bytes rounded up to MiB, at least
  /// 16 MiB. Fails with capacity_exhausted when the host's disk is full.
  result<void> make(const std::string& path, std::uint64_t size_bytes);

private:
  using shared_template = std::shared_ptr<const disk_template>;
  result<shared_template> find(std::uint64_t size_bytes);

  std::string scratch_;
  std::mutex mutex_;                  ///< held while a template is built: two builders would double the work
  std::list<shared_template> recent_; ///< most recently used first
};

/// Waits until no loop device is backed by this file any more. @param loop the device's number.
/// False when the deadline comes first.
bool wait_for_loop_release(int loop, const std::string& path, steady_time deadline);

/// Bytes in use on the file system that holds `directory`; 0 when it cannot be asked.
std::uint64_t used_bytes(const std::string& directory);

} // namespace sandy::runtime
