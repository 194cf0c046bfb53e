#pragma once

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace sandy::metrics {

/// The families of the HTTP edge. Every request of every thread comes here, so counting takes no lock: two
/// look-ups in fixed hash tables and three relaxed additions. Thread safe.
class http_metrics : public prometheus::Collectable {
public:
  http_metrics();
  ~http_metrics() override;
  http_metrics(const http_metrics&) = delete;
  http_metrics& operator=(const http_metrics&) = delete;

  void connection_opened() noexcept { connections_.fetch_add(1, std::memory_order_relaxed); }
  void connection_closed() noexcept { connections_.fetch_sub(1, std::memory_order_relaxed); }

  /// Counts one answered request. @param route the pattern that matched (a closed set); empty counts as
  /// "unmatched".
  /// @param method unknown ones count as "OTHER". @param status as sent. @param seconds until the last byte
  /// of the answer.
  void request_finished(std::string_view route, std::string_view method, unsigned status,
                        double seconds) noexcept;

  std::vector<prometheus::MetricFamily> Collect() const override;

private:
  struct tables;

  std::atomic<std::int64_t> connections_{0};
  std::unique_ptr<tables> tables_;
};

} // namespace sandy::metrics
