#include "metrics/platform_metrics.hpp"

#include <prometheus/family.h>

namespace sandy::metrics {

platform_metrics::platform_metrics(prometheus::Registry& families)
    : requests_(
          prometheus::BuildCounter()
              .Name("sandy_platform_requests_total")
              .Help(
                  "Requests of sandboxes for the platform's services, by service and hundreds of the status.")
              .Register(families))
    , tokens_(prometheus::BuildCounter()
                  .Name("sandy_platform_tokens_total")
                  .Help("Tokens that sandboxes took from the platform's services, by service and kind.")
                  .Register(families))
    , over_budget_(
          prometheus::BuildCounter()
              .Name("sandy_platform_over_budget_total")
              .Help("Requests refused and streams ended because a sandbox's budget is spent, by service.")
              .Register(families))
    , breakers_(prometheus::BuildGauge()
                    .Name("sandy_platform_breaker_state")
                    .Help("0: requests pass to the service. 1: none does, because it failed. 2: one tries.")
                    .Register(families))
    , violations_(&prometheus::BuildCounter()
                       .Name("sandy_platform_violations_total")
                       .Help("Requests of sandboxes for what is none of the platform's services.")
                       .Register(families)
                       .Add({})) {}

platform_service_metrics& platform_metrics::service(const std::string& name) {
  auto [place, fresh] = services_.try_emplace(name);
  auto& made = place->second;
  if (!fresh)
    return made;
  for (std::size_t i = 0; i < made.answered_.size(); ++i)
    made.answered_[i] = &requests_.Add({{"service", name}, {"status", std::to_string(i + 1) + "xx"}});
  made.input_ = &tokens_.Add({{"service", name}, {"kind", "input"}});
  made.output_ = &tokens_.Add({{"service", name}, {"kind", "output"}});
  made.over_budget_ = &over_budget_.Add({{"service", name}});
  made.breaker_ = &breakers_.Add({{"service", name}});
  return made;
}

} // namespace sandy::metrics
