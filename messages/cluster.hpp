#pragma once

// Conversation: node <-> node, and edge -> its own node's membership. Who belongs to the cluster, how each
// does, and what is asked of all of them.

#include "messages/worker.hpp"

#include <caf/meta/type_name.hpp>
#include <caf/typed_actor.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sandy {

/// What nodes say to each other changed when this did: nodes of another number are refused.
inline constexpr std::uint32_t cluster_protocol = 1;

/// Names a node for ever: what the ids of its sandboxes begin with, in lower-case hex digits.
inline constexpr std::size_t node_id_digits = 6;
/// The node that a sandbox's id names.
inline std::string_view node_of(const sandbox_id& id) {
  return std::string_view{id.value}.substr(0, node_id_digits);
}

/// Whether sandboxes live on a node; every node answers every request.
enum class node_role : std::uint8_t { all, controller, worker };
std::string to_string(node_role role); ///< "all"

enum class node_state : std::uint8_t {
  ready,
  cordoned,   ///< gets no new sandboxes, but children of those that it has
  draining,   ///< gets none at all
  unreachable ///< it has not been heard of
};
std::string to_string(node_state state); ///< "ready"

/// What a node has left, as it says itself.
struct node_load {
  bool can_create = false;
  std::uint32_t sandboxes = 0;
  std::uint32_t max_sandboxes = 0;
  double cpu_ratio = 0; ///< 0..1 of all cores
  std::uint32_t cpu_count = 0;
  std::uint64_t memory_total_bytes = 0, memory_available_bytes = 0;
  std::vector<std::string> warm; ///< flavors of which sandboxes are ready
};

/// A node as others know it.
struct node_card {
  std::string id;
  std::string name;
  std::string version;
  node_role role = node_role::all;
  std::vector<std::string> labels; ///< names of `upstream` that it answers to
  std::string host;                ///< where its node listener is, an IP address
  std::uint16_t port = 0;
  node_state state = node_state::ready;
  node_load load;
  std::string token_secret; ///< tokens of its sandboxes are signed with it; never shown
};

/// A node -> a node that it has connected to: here I am. Answered by node_greeting. Fails with conflict when
/// another node of that name or id is there.
struct greet_node {
  node_card card;
};

struct node_greeting {
  node_card card;                ///< of the one that was greeted
  std::vector<node_card> others; ///< that it knows: to be greeted, too
};

/// A node -> every other, once a second: I live, and this is how I do.
struct report_node {
  node_card card;
};

/// A node as its cluster sees it now.
struct node_view {
  node_card card;
  bool self = false;
  unix_millis last_seen_at = 0;
};

/// Asks who belongs to the cluster; answered by vector<node_view>, by name.
struct list_nodes {};

/// Asks that a node be treated so from now on, also after it was started anew: ready, cordoned or draining.
/// Answered by node_view. Fails with route_not_found (no such node), upstream_error (it cannot be told).
struct steer_node {
  std::string name;
  node_state wish = node_state::ready;
};

/// Asks for the sandboxes of all nodes that answer; as list_sandboxes.
struct list_cluster_sandboxes {
  list_sandboxes question;
};

/// Asks for the numbers of the sandboxes of all nodes that answer; as get_stats.
struct get_cluster_stats {
  get_stats question;
};

/// Asks what the nodes that hold sandboxes, and answer, have left in all; answered by worker_resources.
struct get_cluster_resources {};

/// What machines have in all: counts and amounts are sums, ratios and loads as of one machine, and a sandbox
/// can be made when it can be made on one of them.
worker_resources in_all(const std::vector<worker_resources>& machines);

template <class Inspector>
auto inspect(Inspector& f, node_load& x) {
  return f(caf::meta::type_name("node_load"), x.can_create, x.sandboxes, x.max_sandboxes, x.cpu_ratio,
           x.cpu_count, x.memory_total_bytes, x.memory_available_bytes, x.warm);
}
template <class Inspector>
auto inspect(Inspector& f, node_card& x) {
  return f(caf::meta::type_name("node_card"), x.id, x.name, x.version, x.role, x.labels, x.host, x.port,
           x.state, x.load, x.token_secret);
}
template <class Inspector>
auto inspect(Inspector& f, greet_node& x) {
  return f(caf::meta::type_name("greet_node"), x.card);
}
template <class Inspector>
auto inspect(Inspector& f, node_greeting& x) {
  return f(caf::meta::type_name("node_greeting"), x.card, x.others);
}
template <class Inspector>
auto inspect(Inspector& f, report_node& x) {
  return f(caf::meta::type_name("report_node"), x.card);
}
template <class Inspector>
auto inspect(Inspector& f, node_view& x) {
  return f(caf::meta::type_name("node_view"), x.card, x.self, x.last_seen_at);
}
template <class Inspector>
auto inspect(Inspector& f, list_nodes&) {
  return f(caf::meta::type_name("list_nodes"));
}
template <class Inspector>
auto inspect(Inspector& f, steer_node& x) {
  return f(caf::meta::type_name("steer_node"), x.name, x.wish);
}
template <class Inspector>
auto inspect(Inspector& f, list_cluster_sandboxes& x) {
  return f(caf::meta::type_name("list_cluster_sandboxes"), x.question);
}
template <class Inspector>
auto inspect(Inspector& f, get_cluster_resources&) {
  return f(caf::meta::type_name("get_cluster_resources"));
}
template <class Inspector>
auto inspect(Inspector& f, get_cluster_stats& x) {
  return f(caf::meta::type_name("get_cluster_stats"), x.question);
}

/// A node's part of the cluster: knows the other nodes, and is what they talk to.
using membership_actor =
    caf::typed_actor<caf::replies_to<greet_node>::with<node_greeting>, caf::reacts_to<report_node>,
                     caf::replies_to<list_nodes>::with<std::vector<node_view>>,
                     caf::replies_to<steer_node>::with<node_view>,
                     caf::replies_to<list_cluster_sandboxes>::with<std::vector<sandbox_info>>,
                     caf::replies_to<get_cluster_stats>::with<std::vector<sandbox_stats>>,
                     caf::replies_to<get_cluster_resources>::with<worker_resources>,
                     // For the other nodes: of this one alone.
                     caf::replies_to<list_sandboxes>::with<std::vector<sandbox_info>>,
                     caf::replies_to<get_stats>::with<std::vector<sandbox_stats>>,
                     caf::replies_to<get_resources>::with<worker_resources>>;

} // namespace sandy
