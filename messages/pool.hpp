#pragma once

// Conversation: worker <-> warm pool. A pool keeps sandboxes of one flavor ready that are nobody's yet. The
// worker owns their actors; the pool decides how many there are, and which one is next.

#include "messages/sandbox.hpp"

namespace sandy {

/// Worker -> pool: a member for a caller; answered by its id, from then on the worker's alone, or by an empty
/// one: none is ready.
struct take_warm {};

/// Worker -> pool: this sandbox is ready and nobody's: one given back, or found after a restart.
struct warm_found {
  sandbox_id id;
  unix_millis made_at = 0;
};

/// Worker -> pool: this member is no more.
struct warm_ended {
  sandbox_id id;
};

/// Pool -> worker, whenever they change, and as part of its answers: counts of one flavor's ready-made
/// sandboxes.
struct pool_health {
  std::string flavor;
  std::uint32_t available = 0;
  std::uint32_t target =
      0; ///< between the flavor's minimum and maximum: grows with misses, shrinks in quiet times
  std::uint64_t hits = 0;         ///< creations served by a member
  std::uint64_t misses = 0;       ///< creations that found none
  unix_millis oldest_made_at = 0; ///< 0: no member
  std::uint64_t refill_ms = 0;    ///< what the last refill took
};

/// Pool -> worker: make a sandbox of that flavor for nobody; answered by its id when it is ready.
/// Fails with capacity_exhausted while callers need the machine.
struct create_warm {
  std::string flavor;
  std::uint32_t ttl_seconds = 0;
};

/// Pool -> worker: end a member that is too old; answered at once.
struct retire_warm {
  sandbox_id id;
};

/// Worker -> sandbox: become this caller's; answered by sandbox_info when it proved alive and its record is
/// written. Fails with conflict when it is somebody's already, with sandbox_ended or sandbox_failed when it
/// is not usable: it ends then.
struct claim_sandbox {
  sandbox_info wanted; ///< owner, parent, limits, lease, ports, names; id, image and disk stay what they are
  environment env;
  std::vector<network_bound> network_bounds; ///< of its ancestors
  sandbox_secrets secrets;
};

template <class Inspector>
auto inspect(Inspector& f, take_warm&) {
  return f(caf::meta::type_name("take_warm"));
}
template <class Inspector>
auto inspect(Inspector& f, warm_found& x) {
  return f(caf::meta::type_name("warm_found"), x.id, x.made_at);
}
template <class Inspector>
auto inspect(Inspector& f, warm_ended& x) {
  return f(caf::meta::type_name("warm_ended"), x.id);
}
template <class Inspector>
auto inspect(Inspector& f, pool_health& x) {
  return f(caf::meta::type_name("pool_health"), x.flavor, x.available, x.target, x.hits, x.misses,
           x.oldest_made_at, x.refill_ms);
}
template <class Inspector>
auto inspect(Inspector& f, create_warm& x) {
  return f(caf::meta::type_name("create_warm"), x.flavor, x.ttl_seconds);
}
template <class Inspector>
auto inspect(Inspector& f, retire_warm& x) {
  return f(caf::meta::type_name("retire_warm"), x.id);
}
template <class Inspector>
auto inspect(Inspector& f, claim_sandbox& x) {
  return f(caf::meta::type_name("claim_sandbox"), x.wanted, x.env, x.network_bounds, x.secrets);
}

/// The warm sandboxes of one flavor. Spawned and monitored by the worker.
using warm_pool_actor = caf::typed_actor<caf::replies_to<take_warm>::with<sandbox_id>,
                                         caf::reacts_to<warm_found>, caf::reacts_to<warm_ended>>;

} // namespace sandy
