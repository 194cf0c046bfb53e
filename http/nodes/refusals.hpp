#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string_view>

namespace sandy::http::nodes {

/// Tells the log of those who came to the nodes' listener and are no nodes: a few a second, however many
/// come. On any thread.
class refusals {
public:
  /// @param peer its address. @param why half a sentence.
  void tell(std::string_view peer, std::string_view why);

private:
  std::mutex mutex_;
  std::chrono::steady_clock::time_point begun_; ///< of the second that is counted
  unsigned told_ = 0;                           ///< in it
  std::uint64_t untold_ = 0;                    ///< since the last that was told
};

} // namespace sandy::http::nodes
