#pragma once

#include "messages/network_refusal.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <array>
#include <cstdint>

namespace sandy::metrics {

/// What sandboxes exchange with the world. Thread safe; counting never searches by label.
class network_metrics {
public:
  explicit network_metrics(prometheus::Registry& families);

  void sent(std::uint64_t bytes) noexcept { sent_->Increment(static_cast<double>(bytes)); }
  void received(std::uint64_t bytes) noexcept { received_->Increment(static_cast<double>(bytes)); }
  /// A connection was judged. @param outcome none: it was let through.
  void connection(network_refusal outcome) noexcept {
    connections_[static_cast<std::size_t>(outcome)]->Increment();
  }
  /// The same for a question for a name.
  void name(network_refusal outcome) noexcept { names_[static_cast<std::size_t>(outcome)]->Increment(); }
  void requests_with_secrets(std::uint64_t count) noexcept {
    with_secrets_->Increment(static_cast<double>(count));
  }
  void opened() noexcept { open_->Increment(); }
  void closed() noexcept { open_->Decrement(); }

private:
  prometheus::Counter* sent_;
  prometheus::Counter* received_;
  prometheus::Counter* with_secrets_;
  prometheus::Gauge* open_;
  std::array<prometheus::Counter*, network_refusals> connections_{};
  std::array<prometheus::Counter*, network_refusals> names_{};
};

} // namespace sandy::metrics
