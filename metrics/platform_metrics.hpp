#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <array>
#include <cstdint>
#include <map>
#include <string>

namespace sandy::metrics {

/// What one service of the platform does. Thread safe.
class platform_service_metrics {
public:
  /// A request was answered. @param status as the sandbox sees it.
  void answered(unsigned status) noexcept {
    answered_[status < 100 || status > 599 ? 4 : status / 100 - 1]->Increment();
  }
  void tokens(std::uint64_t input, std::uint64_t output) noexcept {
    input_->Increment(static_cast<double>(input));
    output_->Increment(static_cast<double>(output));
  }
  /// A request was refused, or a stream ended, because a budget is spent.
  void over_budget() noexcept { over_budget_->Increment(); }
  /// @param state 0: requests pass; 1: none does; 2: one shows whether they may.
  void breaker(int state) noexcept { breaker_->Set(state); }

private:
  friend class platform_metrics;
  std::array<prometheus::Counter*, 5> answered_{}; ///< by the hundreds of the status
  prometheus::Counter* input_ = nullptr;
  prometheus::Counter* output_ = nullptr;
  prometheus::Counter* over_budget_ = nullptr;
  prometheus::Gauge* breaker_ = nullptr;
};

/// What sandboxes ask of the platform's services.
class platform_metrics {
public:
  explicit platform_metrics(prometheus::Registry& families);

  /// That of a configured service: the names are a closed set. Not thread safe; the result stays where it is.
  platform_service_metrics& service(const std::string& name);
  /// A sandbox asked for what is no service.
  void violation() noexcept { violations_->Increment(); }

private:
  prometheus::Family<prometheus::Counter>& requests_;
  prometheus::Family<prometheus::Counter>& tokens_;
  prometheus::Family<prometheus::Counter>& over_budget_;
  prometheus::Family<prometheus::Gauge>& breakers_;
  prometheus::Counter* violations_;
  std::map<std::string, platform_service_metrics> services_;
};

} // namespace sandy::metrics
