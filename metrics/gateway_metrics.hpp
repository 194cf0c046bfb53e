#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

namespace sandy::metrics {

/// How a chat ended. `refused`: the model found the request wrong. `failed`: no backend answered it.
/// `broken`: its stream had begun, and says so. `gone`: its client left.
enum class chat_outcome : std::uint8_t { answered, refused, failed, broken, gone };

/// The chats of one model. Thread safe, without locks.
class model_metrics {
public:
  void ended(chat_outcome how) { ended_[static_cast<std::size_t>(how)]->Increment(); }
  void first_token(double seconds) { first_token_->Observe(seconds); }
  void tokens(std::uint64_t read, std::uint64_t written) {
    read_->Increment(static_cast<double>(read));
    written_->Increment(static_cast<double>(written));
  }
  /// A backend failed, and was asked again, or another one was.
  void tried_again() { retries_->Increment(); }
  /// A second backend was asked because the first hesitated.
  void hedged() { hedged_->Increment(); }
  /// And it spoke first.
  void hedge_won() { hedges_won_->Increment(); }
  void begun() { running_->Increment(); }
  void over() { running_->Decrement(); }

private:
  friend class gateway_metrics;
  std::array<prometheus::Counter*, 5> ended_{};
  prometheus::Histogram* first_token_ = nullptr;
  prometheus::Counter* read_ = nullptr;
  prometheus::Counter* written_ = nullptr;
  prometheus::Counter* retries_ = nullptr;
  prometheus::Counter* hedged_ = nullptr;
  prometheus::Counter* hedges_won_ = nullptr;
  prometheus::Gauge* running_ = nullptr;
};

/// What the gateway counts, by model: those of the configuration, a closed set.
class gateway_metrics {
public:
  explicit gateway_metrics(prometheus::Registry& families);
  /// Made once, before the server starts; lives as long as this.
  model_metrics& of(const std::string& model);

private:
  prometheus::Family<prometheus::Counter>& requests_;
  prometheus::Family<prometheus::Histogram>& first_token_;
  prometheus::Family<prometheus::Counter>& tokens_;
  prometheus::Family<prometheus::Counter>& retries_;
  prometheus::Family<prometheus::Counter>& hedged_;
  prometheus::Family<prometheus::Counter>& hedges_won_;
  prometheus::Family<prometheus::Gauge>& running_;
  std::map<std::string, model_metrics> models_;
};

} // namespace sandy::metrics
