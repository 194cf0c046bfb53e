#include "runtime/host.hpp"

#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>

namespace sandy::runtime {

namespace {

/// The first number of a file; 0 when there is none.
std::uint64_t number_in(const char* path) {
  std::ifstream file{path};
  std::uint64_t number = 0;
  file >> number;
  return number;
}

} // namespace

host_load host_meter::read(const std::string& disk_path) {
  host_load load;
  if (auto cores = ::sysconf(_SC_NPROCESSORS_ONLN); cores > 0)
    load.cpu_count = static_cast<std::uint32_t>(cores);

  // "cpu user nice system idle iowait irq softirq steal ...": idle and iowait are not work.
  std::ifstream stat{"/proc/stat"};
  std::string word;
  stat >> word;
  std::uint64_t total = 0;
  std::uint64_t idle = 0;
  for (int field = 0; field < 8; ++field) {
    std::uint64_t ticks = 0;
    stat >> ticks;
    total += ticks;
    if (field == 3 || field == 4)
      idle += ticks;
  }
  auto busy = total - idle;
  if (last_total_ != 0 && total > last_total_ && busy >= last_busy_)
    load.cpu_ratio = static_cast<double>(busy - last_busy_) / static_cast<double>(total - last_total_);
  last_total_ = total;
  last_busy_ = busy;

  std::ifstream loads{"/proc/loadavg"};
  // "0.10 0.20 0.30 1/234 567": the fourth field ends with the number of processes and threads.
  loads >> load.load1 >> load.load5 >> load.load15;
  loads.ignore(std::numeric_limits<std::streamsize>::max(), '/');
  loads >> load.pids_used;
  load.pids_total =
      std::min(number_in("/proc/sys/kernel/pid_max"), number_in("/proc/sys/kernel/threads-max"));

  std::ifstream memory{"/proc/meminfo"};
  std::uint64_t kib = 0;
  while (memory >> word >> kib) {
    if (word == "MemTotal:")
      load.memory_total_bytes = kib * 1024;
    else if (word == "MemAvailable:")
      load.memory_available_bytes = kib * 1024;
    memory.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }

  struct statvfs disk{};
  if (::statvfs(disk_path.c_str(), &disk) == 0) {
    load.disk_total_bytes = static_cast<std::uint64_t>(disk.f_blocks) * disk.f_frsize;
    load.disk_free_bytes = static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
  }
  return load;
}

} // namespace sandy::runtime
