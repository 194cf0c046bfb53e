#pragma once

#include "actors/membership.hpp"
#include "app/config.hpp"
#include "http/nodes/knocking.hpp"
#include "http/server.hpp"
#include "messages/cluster.hpp"
#include "messages/node_directory.hpp"

#include <boost/asio/thread_pool.hpp>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

#include <atomic>
#include <string>
#include <string_view>

namespace sandy {

/// What of a node is the same after every start.
struct node_identity {
  std::string id;
  node_state wish = node_state::ready;

  /// Read from the data directory, made at the first start. Call it while holding the store. Blocking. Fails
  /// as `kept_secret`.
  static result<node_identity> open(const std::string& data_dir);
};

/// This server as a node: alone, or in a cluster.
class cluster_node {
public:
  /// What is given outlives it.
  cluster_node(const config& settings, node_identity identity, std::string token_secret,
               std::string_view version, coro::pool& threads, const http::server& server);

  node_directory& directory() noexcept { return directory_; }
  const std::string& id() const noexcept { return own_.id; }

  /// Has CAF speak with other nodes. Before the actor system is made.
  static void prepare(caf::actor_system_config& into, const cluster_settings& settings);

  /// Begins to be a node: from here on the others know of it.
  membership_actor spawn(caf::actor_system& system, worker_actor worker, std::uint16_t port);
  /// Publishes the membership. @returns our door. Fails with conflict: the port is taken.
  result<http::nodes::door> listen(const membership_actor& members);

  /// Waits for connections that are being made. Before the actor system is destroyed.
  void stop() { connecting_.join(); }

  /// What the tokens of a sandbox's node are signed with; empty: no such node is known.
  std::string token_secret_of(const sandbox_id& sandbox) const;

private:
  coro::task<node_door> knock(node_address where);
  http::nodes::door own_door() const;

  const config& settings_;
  coro::pool& threads_;
  const http::server& server_;
  node_card own_;
  std::atomic<std::uint16_t> control_port_{0};
  boost::asio::thread_pool connecting_{
      1}; ///< CAF waits there, with no limit, until a node takes a connection
  node_directory directory_;
  membership_services services_;
};

} // namespace sandy
