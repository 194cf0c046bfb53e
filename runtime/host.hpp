#pragma once

#include <cstdint>
#include <string>

namespace sandy::runtime {

/// What the machine has and uses.
struct host_load {
  double cpu_ratio = 0; ///< 0..1 of all cores, since the previous reading
  std::uint32_t cpu_count = 1;
  double load1 = 0, load5 = 0, load15 = 0;
  std::uint64_t memory_total_bytes = 0, memory_available_bytes = 0;
  std::uint64_t disk_total_bytes = 0, disk_free_bytes = 0;
  std::uint64_t pids_total = 0, pids_used = 0; ///< processes and threads, of the whole machine
};

/// Reads the machine's load from /proc (proc(5)) and statvfs(3). A reading takes tens of microseconds and may
/// block on a hung file system: call it where that is allowed.
class host_meter {
public:
  /// @param disk_path a path on the file system to report.
  host_load read(const std::string& disk_path);

private:
  std::uint64_t last_busy_ = 0;
  std::uint64_t last_total_ = 0;
};

} // namespace sandy::runtime
