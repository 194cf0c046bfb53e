#include "metrics/network_metrics.hpp"

#include <prometheus/family.h>

#include <string>

namespace sandy::metrics {

network_metrics::network_metrics(prometheus::Registry& families) {
  auto& bytes = prometheus::BuildCounter()
                    .Name("sandy_network_bytes_total")
                    .Help("Bytes between sandboxes and the world, by direction as a sandbox sees it.")
                    .Register(families);
  sent_ = &bytes.Add({{"direction", "sent"}});
  received_ = &bytes.Add({{"direction", "received"}});
  with_secrets_ = &prometheus::BuildCounter()
                       .Name("sandy_network_requests_with_secrets_total")
                       .Help("Requests of sandboxes that a secret was put into on their way out.")
                       .Register(families)
                       .Add({});
  open_ = &prometheus::BuildGauge()
               .Name("sandy_network_connections")
               .Help("Connections of sandboxes to the world that are open now.")
               .Register(families)
               .Add({});
  auto& connections = prometheus::BuildCounter()
                          .Name("sandy_network_connections_total")
                          .Help("Connections of sandboxes to the world, let through or refused, by outcome.")
                          .Register(families);
  auto& names = prometheus::BuildCounter()
                    .Name("sandy_network_names_total")
                    .Help("Questions of sandboxes for names, let through or refused, by outcome.")
                    .Register(families);
  for (std::size_t i = 0; i < network_refusals; ++i) {
    const auto why = static_cast<network_refusal>(i);
    const auto outcome = why == network_refusal::none ? std::string{"allowed"} : std::string{to_string(why)};
    connections_[i] = &connections.Add({{"outcome", outcome}});
    names_[i] = &names.Add({{"outcome", outcome}});
  }
}

} // namespace sandy::metrics
