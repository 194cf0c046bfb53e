#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <array>
#include <cstdint>

namespace sandy::metrics {

/// What passes from outside to applications in sandboxes. Thread safe, without locks.
class ingress_metrics {
public:
  explicit ingress_metrics(prometheus::Registry& families);

  /// A request was passed on. @param status of the application's answer; 0: there was none. @param seconds
  /// until the application's answer began.
  void answered(unsigned status, double seconds);
  /// The answer was cut: it broke, or its client was gone.
  void cut() { cut_->Increment(); }
  void tunnel_opened() { tunnels_->Increment(); }
  void tunnel_closed() { tunnels_->Decrement(); }
  void bytes_in(std::uint64_t count) { in_->Increment(static_cast<double>(count)); }
  void bytes_out(std::uint64_t count) { out_->Increment(static_cast<double>(count)); }

private:
  std::array<prometheus::Counter*, 6> answered_{}; ///< by the first digit of the status; 0: none
  prometheus::Counter* cut_;
  prometheus::Histogram* seconds_;
  prometheus::Gauge* tunnels_;
  prometheus::Counter* in_;
  prometheus::Counter* out_;
};

} // namespace sandy::metrics
