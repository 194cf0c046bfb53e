#include "http/nodes/refusals.hpp"

#include "metrics/log.hpp"

#include <utility>

namespace sandy::http::nodes {

namespace {

// Enough to see who it is; a port scan must not fill the log.
constexpr unsigned most_a_second = 5;

} // namespace

void refusals::tell(std::string_view peer, std::string_view why) {
  std::uint64_t untold = 0;
  {
    std::lock_guard lock{mutex_};
    const auto now = std::chrono::steady_clock::now();
    if (now - begun_ >= std::chrono::seconds{1}) {
      begun_ = now;
      told_ = 0;
    }
    if (told_ == most_a_second) {
      ++untold_;
      return;
    }
    ++told_;
    untold = std::exchange(untold_, 0);
  }
  log_event(log_level::warn, "node_refused", {{"peer", peer}, {"what", why}, {"untold_before", untold}});
}

} // namespace sandy::http::nodes
