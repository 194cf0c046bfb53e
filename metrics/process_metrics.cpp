#include "metrics/process_metrics.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <system_error>

namespace sandy::metrics {

namespace {

/// Fields of /proc/self/stat that we show; proc(5) numbers them from 1.
struct process_stat {
  double cpu_ticks = 0;
  double start_ticks = 0;
  double virtual_bytes = 0;
  double resident_pages = 0;
  bool valid = false;
};

process_stat read_stat() {
  std::ifstream file("/proc/self/stat");
  std::string text{std::istreambuf_iterator<char>(file), {}};
  // Field 2, the name, may hold spaces and brackets; the fields after it are counted from its last bracket.
  auto bracket = text.rfind(')');
  if (bracket == std::string::npos)
    return {};
  std::istringstream fields(text.substr(bracket + 1));
  process_stat stat;
  std::string field;
  int number = 3;
  for (; number <= 24 && fields >> field; ++number) {
    switch (number) {
    case 14: // utime
    case 15: // stime
      stat.cpu_ticks += std::stod(field);
      break;
    case 22:
      stat.start_ticks = std::stod(field);
      break;
    case 23:
      stat.virtual_bytes = std::stod(field);
      break;
    case 24:
      stat.resident_pages = std::stod(field);
      break;
    default:
      break;
    }
  }
  stat.valid = number == 25;
  return stat;
}

double read_boot_seconds() {
  std::ifstream file("/proc/stat");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("btime "))
      return std::stod(line.substr(6));
  return 0;
}

/// -1 when they cannot be counted.
double count_open_descriptors() {
  std::error_code failed;
  std::filesystem::directory_iterator entries("/proc/self/fd", failed);
  double count = -1; // the iterator's own descriptor is among them
  for (auto entry = begin(entries); !failed && entry != end(entries); entry.increment(failed))
    ++count;
  return failed ? -1 : count;
}

} // namespace

process_metrics::process_metrics()
    : boot_seconds_(read_boot_seconds()) {}

std::vector<prometheus::MetricFamily> process_metrics::Collect() const {
  std::vector<prometheus::MetricFamily> all;
  auto add = [&all](const char* name, const char* help, prometheus::MetricType type, double value) {
    prometheus::ClientMetric metric;
    (type == prometheus::MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
    all.push_back({name, help, type, {metric}});
  };
  using enum prometheus::MetricType;
  const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  if (auto stat = read_stat(); stat.valid) {
    add("process_cpu_seconds_total", "User and system CPU time spent, in seconds.", Counter,
        stat.cpu_ticks / ticks);
    add("process_resident_memory_bytes", "Resident memory size in bytes.", Gauge,
        stat.resident_pages * static_cast<double>(::sysconf(_SC_PAGESIZE)));
    add("process_virtual_memory_bytes", "Virtual memory size in bytes.", Gauge, stat.virtual_bytes);
    if (boot_seconds_ > 0)
      add("process_start_time_seconds", "Start of the process since the Unix epoch, in seconds.", Gauge,
          boot_seconds_ + stat.start_ticks / ticks);
  }
  if (auto open = count_open_descriptors(); open >= 0)
    add("process_open_fds", "Number of open file descriptors.", Gauge, open);
  if (rlimit limit{}; ::getrlimit(RLIMIT_NOFILE, &limit) == 0)
    add("process_max_fds", "Maximum number of open file descriptors.", Gauge,
        static_cast<double>(limit.rlim_cur));
  return all;
}

} // namespace sandy::metrics
