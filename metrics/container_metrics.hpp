#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <cstdint>
#include <string_view>

namespace sandy::metrics {

/// Families about the containers that answer for models. Models are configured: a closed set. Thread safe.
class container_metrics {
public:
  explicit container_metrics(prometheus::Registry& families);

  /// What there is of a model's containers now. @param ready healthy, also those that are in use.
  void shown(std::string_view model, std::uint32_t ready, std::uint32_t busy, std::uint32_t making,
             std::uint32_t waiting);
  /// @param seconds from nothing to healthy, its sandbox included.
  void made(std::string_view model, double seconds);
  /// One could not be made.
  void failed(std::string_view model);

private:
  prometheus::Family<prometheus::Gauge>& containers_;
  prometheus::Family<prometheus::Gauge>& waiting_;
  prometheus::Family<prometheus::Histogram>& start_;
  prometheus::Family<prometheus::Counter>& failures_;
};

} // namespace sandy::metrics
