#include "metrics/container_metrics.hpp"

#include <prometheus/family.h>

#include <string>

namespace sandy::metrics {

namespace {

const prometheus::Histogram::BucketBoundaries start_buckets{0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60};

} // namespace

container_metrics::container_metrics(prometheus::Registry& families)
    : containers_(prometheus::BuildGauge()
                      .Name("sandy_model_containers")
                      .Help("Containers that answer for a model, by what they do: idle, busy, starting.")
                      .Register(families))
    , waiting_(prometheus::BuildGauge()
                   .Name("sandy_model_requests_waiting")
                   .Help("Requests that wait for a container of their model.")
                   .Register(families))
    , start_(prometheus::BuildHistogram()
                 .Name("sandy_model_container_start_seconds")
                 .Help("Time until a model's container was healthy, its sandbox included.")
                 .Register(families))
    , failures_(prometheus::BuildCounter()
                    .Name("sandy_model_container_failures_total")
                    .Help("Containers of a model that could not be made.")
                    .Register(families)) {}

void container_metrics::shown(std::string_view model, std::uint32_t ready, std::uint32_t busy,
                              std::uint32_t making, std::uint32_t waiting) {
  const std::string name{model};
  containers_.Add({{"model", name}, {"state", "idle"}}).Set(ready - busy);
  containers_.Add({{"model", name}, {"state", "busy"}}).Set(busy);
  containers_.Add({{"model", name}, {"state", "starting"}}).Set(making);
  waiting_.Add({{"model", name}}).Set(waiting);
}

void container_metrics::made(std::string_view model, double seconds) {
  start_.Add({{"model", std::string{model}}}, start_buckets).Observe(seconds);
}

void container_metrics::failed(std::string_view model) {
  failures_.Add({{"model", std::string{model}}}).Increment();
}

} // namespace sandy::metrics
