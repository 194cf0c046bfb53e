#include "runtime/sandbox_profile.hpp"

#include "runtime/files.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <charconv>

namespace sandy::runtime {

open_file_limits sandbox_open_files() {
  rlimit ours{};
  if (::getrlimit(RLIMIT_NOFILE, &ours) != 0)
    ours.rlim_max = 1024;
  auto hard = std::min<std::uint64_t>(65'536, ours.rlim_max);
  return {std::min<std::uint64_t>(4096, hard), hard};
}

int sandbox_oom_score() {
  auto text = read_small_file("/proc/self/oom_score_adj").value_or("0");
  int score = 0;
  std::from_chars(text.data(), text.data() + text.size(), score);
  return std::max(0, score);
}

} // namespace sandy::runtime
