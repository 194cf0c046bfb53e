#pragma once

// Conversation: edge -> rate limiter. Asked once for every request that came with a key or a token.

#include "messages/ids.hpp"

#include <caf/typed_actor.hpp>

#include <cstdint>
#include <string>

namespace sandy {

/// What one tenant may use. 0: as much as there is.
struct tenant_limits {
  std::uint64_t requests_per_second = 1000;
  std::uint64_t request_burst = 2000; ///< requests at once, after a pause; 0: as many as in one second
  std::uint64_t creations_per_minute = 600;
  std::uint64_t creations_per_hour = 10'000;
  std::uint64_t sandboxes = 0;    ///< alive at once
  std::uint64_t streams = 1000;   ///< commands, event streams and file transfers at once
  std::uint64_t memory_bytes = 0; ///< sum of the memory limits of its living sandboxes
  friend bool operator==(const tenant_limits&, const tenant_limits&) = default;
};

/// What a request takes from its tenant's budget, besides being a request.
enum class request_cost : std::uint8_t {
  plain,
  creation, ///< makes a sandbox
  stream,   ///< may run for long; holds a place among the tenant's streams while it does
};

/// Which budget is spent. Part of metrics.
enum class budget_kind : std::uint8_t { none, requests, creations, streams };

/// The sentence that a refused client reads.
std::string refusal_text(budget_kind spent);

/// Takes what a request costs. Answered by admission, also when it is refused.
struct admit_request {
  tenant_id tenant;
  request_cost cost = request_cost::plain;
  /// Names the place of a stream, unique on this server; the asker gives it back with `return_lease`. If the
  /// asker dies, it is given back for it.
  std::uint64_t lease = 0;
  std::uint32_t count = 1; ///< of creations: all or none
};

/// Whether a request may go on, and what the client is told about its budget: of those that it draws on the
/// one that is nearest to its end.
struct admission {
  budget_kind refused_by = budget_kind::none; ///< none: it may go on
  std::uint32_t retry_after = 0;              ///< seconds; only when refused
  std::uint64_t limit = 0;                    ///< 0: there is none to speak of
  std::uint64_t remaining = 0;
  std::uint32_t reset = 0; ///< seconds until all of `limit` is there again
};

/// Gives a stream's place back. A lease that is unknown, or was given back already, is none of our business.
struct return_lease {
  std::uint64_t lease = 0;
};

/// Answered by tenant_limits. Tenants that nobody ever heard of have the defaults.
struct get_tenant_limits {
  tenant_id tenant;
};

/// Changes a tenant's limits until the server ends. What it has used stays used. Answered by the new limits.
struct set_tenant_limits {
  tenant_id tenant;
  tenant_limits limits;
};

template <class Inspector>
auto inspect(Inspector& f, tenant_limits& x) {
  return f(caf::meta::type_name("tenant_limits"), x.requests_per_second, x.request_burst,
           x.creations_per_minute, x.creations_per_hour, x.sandboxes, x.streams, x.memory_bytes);
}
template <class Inspector>
auto inspect(Inspector& f, admit_request& x) {
  return f(caf::meta::type_name("admit_request"), x.tenant, x.cost, x.lease, x.count);
}
template <class Inspector>
auto inspect(Inspector& f, admission& x) {
  return f(caf::meta::type_name("admission"), x.refused_by, x.retry_after, x.limit, x.remaining, x.reset);
}
template <class Inspector>
auto inspect(Inspector& f, return_lease& x) {
  return f(caf::meta::type_name("return_lease"), x.lease);
}
template <class Inspector>
auto inspect(Inspector& f, get_tenant_limits& x) {
  return f(caf::meta::type_name("get_tenant_limits"), x.tenant);
}
template <class Inspector>
auto inspect(Inspector& f, set_tenant_limits& x) {
  return f(caf::meta::type_name("set_tenant_limits"), x.tenant, x.limits);
}

/// Keeps the budgets of the tenants whose names lead to it.
using rate_limiter_actor =
    caf::typed_actor<caf::replies_to<admit_request>::with<admission>, caf::reacts_to<return_lease>,
                     caf::replies_to<get_tenant_limits>::with<tenant_limits>,
                     caf::replies_to<set_tenant_limits>::with<tenant_limits>>;

} // namespace sandy
