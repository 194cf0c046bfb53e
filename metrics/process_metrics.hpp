#pragma once

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <vector>

namespace sandy::metrics {

/// The customary `process_*` families, read from /proc/self when they are collected: milliseconds with very
/// many open descriptors, else microseconds. What cannot be read is left out. Thread safe.
class process_metrics : public prometheus::Collectable {
public:
  process_metrics();
  std::vector<prometheus::MetricFamily> Collect() const override;

private:
  double boot_seconds_ =
      0; ///< since the Unix epoch; 0: unknown. Read once, as /proc/stat is long on large machines
};

} // namespace sandy::metrics
