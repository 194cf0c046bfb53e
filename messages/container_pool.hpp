#pragma once

// Conversation: gateway -> container pool -> worker. Containers of one model, each in a sandbox of its own,
// that are healthy before anybody asks for them.

#include "messages/container.hpp"

namespace sandy {

/// Asks for a healthy container to send one request to; answered by container_claim. Waits for one when there
/// is none free. Fails with capacity_exhausted (none is free and none can be made, or too many wait),
/// upstream_error (it cannot be made, why), deadline_exceeded (none became free in time).
struct claim_container {
  /// Names the claim, unique on this server; the asker gives it back with `return_container`, also when it
  /// did not wait for the answer.
  std::uint64_t number = 0;
  std::uint64_t wait_ms = 60'000; ///< for one that is free; 0: none, and nothing is made for it either
  sandbox_id besides{};           ///< not the one in this sandbox; empty: any
};

/// One request may be sent.
struct container_claim {
  sandbox_id sandbox;
  container_id container;
  std::uint16_t port = 0;
};

/// The request is over. A claim that is unknown, or was given back already, is none of the pool's business.
struct return_container {
  std::uint64_t number = 0;
  bool failed = false; ///< the container did not answer it, or not to the end
};

/// Asks how a pool does; answered by container_pool_health.
struct get_container_pool {};

struct container_pool_health {
  std::string model;
  std::string image;
  std::uint32_t ready = 0; ///< healthy, also those that are in use
  std::uint32_t busy = 0;  ///< of those
  std::uint32_t making = 0;
  std::uint32_t target = 0;   ///< ready at all times
  std::uint32_t waiting = 0;  ///< requests for which there is none
  std::uint64_t requests = 0; ///< served since the start
  std::string error;          ///< why the last one could not be made; empty when it could
};

template <class Inspector>
auto inspect(Inspector& f, claim_container& x) {
  return f(caf::meta::type_name("claim_container"), x.number, x.wait_ms, x.besides);
}
template <class Inspector>
auto inspect(Inspector& f, container_claim& x) {
  return f(caf::meta::type_name("container_claim"), x.sandbox, x.container, x.port);
}
template <class Inspector>
auto inspect(Inspector& f, return_container& x) {
  return f(caf::meta::type_name("return_container"), x.number, x.failed);
}
template <class Inspector>
auto inspect(Inspector& f, get_container_pool&) {
  return f(caf::meta::type_name("get_container_pool"));
}
template <class Inspector>
auto inspect(Inspector& f, container_pool_health& x) {
  return f(caf::meta::type_name("container_pool_health"), x.model, x.image, x.ready, x.busy, x.making,
           x.target, x.waiting, x.requests, x.error);
}

/// The containers of one model.
using container_pool_actor =
    caf::typed_actor<caf::replies_to<claim_container>::with<container_claim>,
                     caf::reacts_to<return_container>,
                     caf::replies_to<get_container_pool>::with<container_pool_health>>;

} // namespace sandy
