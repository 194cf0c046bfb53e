#pragma once

#include "app/config.hpp"
#include "http/gateway/container_backend.hpp"
#include "http/gateway/gateway.hpp"

#include <memory>
#include <vector>

namespace sandy {

/// A model whose containers are still to be found: its pool is an actor.
struct pooled_model {
  model_containers what;
  std::shared_ptr<http::gateway::container_backend> backend;
};

struct configured_models {
  http::gateway::gateway_settings settings;
  std::vector<pooled_model> pooled;
};

/// What the gateway is made of, as the configuration describes it. Blocking (reads files of keys). Fails with
/// invalid_argument and a whole sentence.
result<configured_models> configured_models_of(const config& settings);

} // namespace sandy
