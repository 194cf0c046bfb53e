#pragma once

#include "http/ingress/access.hpp"
#include "http/nodes/knocking.hpp"
#include "messages/cluster.hpp"
#include "messages/events.hpp"
#include "messages/image_names.hpp"
#include "messages/limiter.hpp"
#include "messages/request.hpp"
#include "messages/sandbox_io.hpp"
#include "messages/worker.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace caf {
class actor_system;
}

namespace sandy {
class node_directory;
}

namespace sandy::metrics {
class registry;
}

namespace sandy::runtime {
class entrance_directory;
class image_importer;
} // namespace sandy::runtime

namespace sandy::http::client {
class trust;
}

namespace sandy::http::gateway {
class gateway;
}

namespace sandy::http::nodes {
class credentials;
}

namespace sandy::http {

namespace platform {
class proxy;
}

/// Limits of the edge. Each protects the server from one client.
struct edge_limits {
  std::uint32_t header_bytes = 64 * 1024;
  std::uint64_t json_body_bytes = 64ull * 1024 * 1024;
  std::uint32_t connections = 10'000;
  std::chrono::milliseconds header_timeout{15'000};  ///< from the first byte to the last of the head
  std::chrono::milliseconds idle_timeout{75'000};    ///< between requests of a kept connection
  std::chrono::milliseconds body_timeout{30'000};    ///< between two pieces of a body
  std::chrono::milliseconds write_timeout{30'000};   ///< until a stalled reader is given up
  std::chrono::milliseconds create_timeout{60'000};  ///< the deadline of a create
  std::chrono::milliseconds control_timeout{30'000}; ///< the deadline of every other question to an actor
  std::chrono::milliseconds upstream_timeout{
      300'000}; ///< until an application in a sandbox begins to answer; model calls take minutes
  std::chrono::milliseconds departure_grace{
      10'000}; ///< an answer may still reach a client that has hung up this long
  std::chrono::milliseconds ping_interval{30'000}; ///< of WebSockets; silent for three, one is given up
  std::chrono::milliseconds exec_timeout{600'000}; ///< of a command whose request names none
  std::uint64_t exec_output_bytes =
      64ull * 1024 * 1024; ///< kept of stdout and of stderr each; the rest is cut, and said
};

/// How the outside world addresses us.
struct public_address {
  std::string scheme = "http";
  std::string host_suffix = ".sandy.localhost"; ///< with its leading dot
  std::uint16_t port = 7330;                    ///< 0, 80 or 443: not shown in URLs
  /// What sandboxes' host names may end with, `host_suffix` among them; none: no host name is a sandbox's.
  std::vector<std::string> host_suffixes{};
};

/// What route handlers work with. Outlives every session.
struct context {
  caf::actor_system& system;
  worker_actor worker;
  data_plane& data;
  /// Spawns the actor that creates a sandbox for one client; the handler kills it (`coro::end`) when the
  /// client hangs up.
  std::function<create_request_actor(std::chrono::milliseconds timeout)> spawn_create_request;
  metrics::registry& metrics;
  edge_limits limits;
  public_address address;
  /// Whose key or sandbox token this is; none for an unknown one. Constant time in the key.
  std::function<std::optional<principal>(std::string_view key)> authenticate;
  bool open = false;                     ///< no key needed: everybody is the tenant "default"
  std::vector<std::string> cors_origins; ///< empty: every origin
  std::vector<std::string>
      agent_models; ///< that agents can use here, as far as the operator says; any may be named
  std::string version;
  event_log_actor events; ///< none: the event routes do not answer
  /// Keep the tenants' budgets. None: nobody is limited.
  std::vector<rate_limiter_actor> limiters;
  runtime::entrance_directory* entrances = nullptr; ///< nullptr: no request is led into a sandbox
  ingress::port_signer ports;                       ///< of URLs that lead to private ports
  bool port_listeners = false;                      ///< listen on the ports that sandboxes expose
  /// Of exposed ports, those that are listened on nowhere, although they should be.
  std::function<std::vector<std::uint16_t>(const std::vector<std::uint16_t>& exposed)> ports_not_served{};
  runtime::image_importer* importer = nullptr; ///< nullptr: images cannot be imported
  /// Makes calls that may block, on a thread for them (`coro::offloaded`).
  std::function<void(std::function<void()>)> blocking_calls{};
  image_names images{};                     ///< what callers call images
  std::shared_ptr<client::trust> trusted{}; ///< when asking hosts of the world; none: not by TLS
  gateway::gateway* models = nullptr;       ///< nullptr: there are none to chat with
  platform::proxy* platform = nullptr;      ///< nullptr: no platform services are offered to sandboxes
  node_directory* nodes = nullptr;          ///< of the cluster; nullptr: there is none, not even of one
  membership_actor members{};               ///< of this node, where there is a directory
  nodes::door door{};                       ///< of this node in its cluster
  /// What other nodes know this one by, and it them; nullptr: this server is alone.
  std::shared_ptr<nodes::credentials> node_credentials{};

  /// The one that keeps this tenant's budget.
  const rate_limiter_actor& limiter_of(const tenant_id& tenant) const {
    return limiters[std::hash<std::string>{}(tenant.value) % limiters.size()];
  }
};

} // namespace sandy::http
