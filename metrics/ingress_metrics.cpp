#include "metrics/ingress_metrics.hpp"

#include <prometheus/family.h>

#include <algorithm>

namespace sandy::metrics {

using prometheus::BuildCounter;
using prometheus::BuildGauge;
using prometheus::BuildHistogram;

namespace {

/// Seconds. From an answer out of memory to a model that thinks.
const prometheus::Histogram::BucketBoundaries bounds{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                                                     0.025,  0.05,    0.1,    0.25,  0.5,    1,     2.5,
                                                     5,      10,      30,     60,    300};

} // namespace

ingress_metrics::ingress_metrics(prometheus::Registry& families)
    : cut_(&BuildCounter()
                .Name("sandy_ingress_cut_total")
                .Help("Answers of applications that broke on their way, or whose client was gone.")
                .Register(families)
                .Add({}))
    , seconds_(&BuildHistogram()
                    .Name("sandy_ingress_answer_seconds")
                    .Help("Time until an application in a sandbox began to answer.")
                    .Register(families)
                    .Add({}, bounds))
    , tunnels_(&BuildGauge()
                    .Name("sandy_ingress_tunnels")
                    .Help("WebSockets and other tunnels into sandboxes that are open now.")
                    .Register(families)
                    .Add({})) {
  auto& requests = BuildCounter()
                       .Name("sandy_ingress_requests_total")
                       .Help("Requests passed on to applications in sandboxes, by the class of the answer's "
                             "status; none: there was no answer.")
                       .Register(families);
  constexpr const char* classes[]{"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
  for (std::size_t i = 0; i < answered_.size(); ++i)
    answered_[i] = &requests.Add({{"class", classes[i]}});
  auto& bytes = BuildCounter()
                    .Name("sandy_ingress_bytes_total")
                    .Help("Bytes of bodies and tunnels, by direction; in: to applications.")
                    .Register(families);
  in_ = &bytes.Add({{"direction", "in"}});
  out_ = &bytes.Add({{"direction", "out"}});
}

void ingress_metrics::answered(unsigned status, double seconds) {
  answered_[std::min<std::size_t>(status / 100, answered_.size() - 1)]->Increment();
  if (status != 0)
    seconds_->Observe(seconds);
}

} // namespace sandy::metrics
