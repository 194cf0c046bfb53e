#include "metrics/gateway_metrics.hpp"

#include <prometheus/family.h>

namespace sandy::metrics {

using prometheus::BuildCounter;
using prometheus::BuildGauge;
using prometheus::BuildHistogram;

namespace {

/// Seconds. From a model that answers from memory to one that has to be loaded first.
const prometheus::Histogram::BucketBoundaries bounds{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                                     0.5,   1,      2.5,   5,    10,    30,   60,  300};

constexpr const char* outcomes[]{"answered", "refused", "failed", "broken", "gone"};

} // namespace

gateway_metrics::gateway_metrics(prometheus::Registry& families)
    : requests_(BuildCounter()
                    .Name("sandy_gateway_chats_total")
                    .Help("Chats by model and by how they ended.")
                    .Register(families))
    , first_token_(BuildHistogram()
                       .Name("sandy_gateway_first_token_seconds")
                       .Help("Time until a model began to answer a chat.")
                       .Register(families))
    , tokens_(BuildCounter()
                  .Name("sandy_gateway_tokens_total")
                  .Help("Tokens that models said they used, by model; in: read, out: written.")
                  .Register(families))
    , retries_(BuildCounter()
                   .Name("sandy_gateway_retries_total")
                   .Help("Times that a chat was led to a backend after one had failed, by model.")
                   .Register(families))
    , hedged_(BuildCounter()
                  .Name("sandy_gateway_hedged_chats_total")
                  .Help("Chats that a second backend was asked because the first hesitated, by model.")
                  .Register(families))
    , hedges_won_(BuildCounter()
                      .Name("sandy_gateway_hedges_won_total")
                      .Help("Hedged chats that the second backend answered first, by model.")
                      .Register(families))
    , running_(BuildGauge()
                   .Name("sandy_gateway_chats_running")
                   .Help("Chats that are answered now, by model.")
                   .Register(families)) {}

model_metrics& gateway_metrics::of(const std::string& model) {
  auto [found, added] = models_.try_emplace(model);
  auto& made = found->second;
  if (!added)
    return made;
  for (std::size_t i = 0; i < made.ended_.size(); ++i)
    made.ended_[i] = &requests_.Add({{"model", model}, {"outcome", outcomes[i]}});
  made.first_token_ = &first_token_.Add({{"model", model}}, bounds);
  made.read_ = &tokens_.Add({{"model", model}, {"direction", "in"}});
  made.written_ = &tokens_.Add({{"model", model}, {"direction", "out"}});
  made.retries_ = &retries_.Add({{"model", model}});
  made.hedged_ = &hedged_.Add({{"model", model}});
  made.hedges_won_ = &hedges_won_.Add({{"model", model}});
  made.running_ = &running_.Add({{"model", model}});
  return made;
}

} // namespace sandy::metrics
