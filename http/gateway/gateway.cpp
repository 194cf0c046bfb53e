#include "http/gateway/gateway.hpp"

#include "metrics/gateway_metrics.hpp"

namespace sandy::http::gateway {

gateway::gateway(gateway_settings settings, metrics::gateway_metrics& counted)
    : settings_(std::move(settings))
    , artifacts_(settings_.artifacts) {
  for (auto& each : settings_.models) {
    each.counted = &counted.of(each.id);
    names_.emplace(each.id, &each);
  }
  for (const auto& each : settings_.models) // an alias takes nobody's name
    for (const auto& alias : each.aliases)
      names_.emplace(alias, &each);
  default_ = find(settings_.default_model);
  if (default_ == nullptr && !settings_.models.empty())
    default_ = &settings_.models.front();
}

const model* gateway::find(std::string_view name) const {
  auto found = names_.find(name);
  return found == names_.end() ? nullptr : found->second;
}

const model* gateway::route(const chat_request& request) const {
  if (!request.competitor.empty())
    return find(request.competitor);
  const auto* known = find(request.model);
  return known != nullptr ? known : default_;
}

} // namespace sandy::http::gateway
