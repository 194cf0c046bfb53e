#pragma once

// Conversation: edge -> worker -> sandbox. What a sandbox reaches of the world outside it.

#include "messages/error.hpp"
#include "messages/ids.hpp"

#include <caf/meta/type_name.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sandy {

/// What a sandbox reaches, each more than the one before.
enum class network_mode : std::uint8_t {
  none,     ///< Sandy's own API
  platform, ///< what the installation relays for it, too
  internet, ///< everything public that the lists allow, too
  usual     ///< in requests only: what the configuration says
};
std::string to_string(network_mode mode); ///< "internet"
std::optional<network_mode> network_mode_of(std::string_view name);

/// Most entries of a list of destinations.
inline constexpr std::size_t most_network_rules = 256;

/// What a sandbox may reach. The lists hold destinations as `parse_network_rule` reads them.
struct network_policy {
  network_mode mode = network_mode::usual;
  std::vector<std::string> allow; ///< empty: everything public
  std::vector<std::string> deny;  ///< stronger than `allow`
  std::uint64_t max_bytes = 0;    ///< sent and received, in its life; 0: no bound
  friend bool operator==(const network_policy&, const network_policy&) = default;
};

/// Fails with invalid_argument when a list has an entry that is no destination, or too many.
result<void> check(const network_policy& policy);

/// Whether everything that `after` allows is allowed by `before`. Both are good.
bool is_stricter_or_same(const network_policy& after, const network_policy& before);

/// What another sandbox's policy imposes on one, as an ancestor's does.
struct network_bound {
  sandbox_id from;
  network_policy policy;
  friend bool operator==(const network_bound&, const network_bound&) = default;
};

/// What went through a sandbox's network since it was made.
struct network_usage {
  std::uint64_t sent_bytes = 0; ///< by the sandbox
  std::uint64_t received_bytes = 0;
  std::uint64_t connections = 0; ///< that were let through
  std::uint64_t refused = 0;     ///< connections that were not
  std::uint64_t names = 0;       ///< questions for names
  std::uint64_t names_refused = 0;
  std::uint32_t open = 0; ///< connections now
  bool spent = false;     ///< it used up what it may transfer
};

/// Asks for a sandbox's network; answered by network_report. Fails with sandbox_not_found.
struct get_network {
  principal caller;
  sandbox_id id;
};

/// Gives a sandbox another policy, whole, from now on: connections that it does not allow are cut. Answered
/// by network_report when it holds, here and for its descendants. Fails with sandbox_not_found,
/// invalid_argument, and with forbidden when a sandbox's token wants more than there was.
struct set_network {
  principal caller;
  sandbox_id id;
  network_policy policy;
};

struct network_report {
  network_policy policy;
  network_usage usage;
};

/// Worker -> sandbox: an ancestor's policy is this now.
struct bound_network {
  network_bound bound;
};

template <class Inspector>
auto inspect(Inspector& f, network_policy& x) {
  return f(caf::meta::type_name("network_policy"), x.mode, x.allow, x.deny, x.max_bytes);
}
template <class Inspector>
auto inspect(Inspector& f, network_bound& x) {
  return f(caf::meta::type_name("network_bound"), x.from, x.policy);
}
template <class Inspector>
auto inspect(Inspector& f, network_usage& x) {
  return f(caf::meta::type_name("network_usage"), x.sent_bytes, x.received_bytes, x.connections, x.refused,
           x.names, x.names_refused, x.open, x.spent);
}
template <class Inspector>
auto inspect(Inspector& f, get_network& x) {
  return f(caf::meta::type_name("get_network"), x.caller, x.id);
}
template <class Inspector>
auto inspect(Inspector& f, set_network& x) {
  return f(caf::meta::type_name("set_network"), x.caller, x.id, x.policy);
}
template <class Inspector>
auto inspect(Inspector& f, network_report& x) {
  return f(caf::meta::type_name("network_report"), x.policy, x.usage);
}
template <class Inspector>
auto inspect(Inspector& f, bound_network& x) {
  return f(caf::meta::type_name("bound_network"), x.bound);
}

} // namespace sandy
