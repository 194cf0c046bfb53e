#pragma once

#include "actors/services.hpp"
#include "app/cluster_node.hpp"
#include "app/config.hpp"
#include "app/image_provider.hpp"
#include "app/models.hpp"
#include "app/sandbox_tokens.hpp"
#include "coro/pool.hpp"
#include "http/context.hpp"
#include "http/egress/gates.hpp"
#include "http/gateway/gateway.hpp"
#include "http/observer.hpp"
#include "http/platform/proxy.hpp"
#include "http/relay/relays.hpp"
#include "http/router.hpp"
#include "http/server.hpp"
#include "metrics/registry.hpp"
#include "runtime/driver.hpp"
#include "runtime/guest/local_data_plane.hpp"
#include "runtime/oci/importer.hpp"
#include "store/store.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

#include <boost/asio/signal_set.hpp>
#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <csignal>
#include <future>
#include <memory>
#include <optional>
#include <string>

namespace sandy {

/// The whole server, wired together. Members are in the order of start; destruction is the reverse.
class application {
public:
  /// Takes the data directory, prepares the machine and recovers what a previous server left. Blocking.
  /// Fails with conflict (another server uses the directory), invalid_argument, internal: one sentence each.
  static result<std::unique_ptr<application>> start(config settings);

  application(const application&) = delete;
  application& operator=(const application&) = delete;
  /// Stops at once what `stop` did not.
  ~application();

  std::uint16_t port() const noexcept { return port_; }
  /// The key that was made because none is configured.
  const std::optional<std::string>& made_key() const noexcept { return made_key_; }

  /// Waits for SIGINT or SIGTERM, or for the worker's death. @returns false after the latter.
  bool wait();
  /// Drains: no new work, running requests finish within the grace, the rest are told. Sandboxes live on,
  /// unless the configuration says otherwise; the next server on this data directory takes them over.
  void stop();

private:
  struct parts; ///< what must exist before threads start
  explicit application(config settings, parts made);
  result<void> serve();
  /// Has the other nodes know of this one, and this one of them.
  result<void> join_cluster();
  void start_container_pools();
  void end_container_pools();
  std::vector<rate_limiter_actor> start_limiters();
  std::unique_ptr<http::platform::proxy> make_platform();
  /// What sandboxes say to the platform's names comes to us, where we serve them.
  http::egress::network_settings with_platform(http::egress::network_settings network);
  std::shared_ptr<runtime::network_gate> open_gate(runtime::network_capture captured,
                                                   const sandbox_id& inside, std::uint64_t used_bytes);
  result<void> use_platform_key(const sandbox_id& inside, std::string key);
  /// Whose key or sandbox token this is.
  std::optional<principal> known(std::string_view key) const;
  /// What a sandbox finds in its environment, to use the API as itself.
  environment identity_of(const sandbox_info& info) const;
  /// Before the worker: what it finds at the start is told as well.
  event_log_actor start_events();
  result<void> start_webhooks();
  /// Fetches images that are missing, where the configuration says so.
  void start_providing();
  /// Ends the server when this actor dies. @param event for the log.
  void end_with(caf::abstract_actor* needed, std::string_view event);

  /// Counts the edge's requests in the metrics.
  class edge_counter final : public http::http_observer {
  public:
    explicit edge_counter(metrics::http_metrics& into)
        : into_(into) {}
    void connection_opened() noexcept override { into_.connection_opened(); }
    void connection_closed() noexcept override { into_.connection_closed(); }
    void request_finished(std::string_view route, std::string_view method, unsigned status,
                          double seconds) noexcept override {
      into_.request_finished(route, method, status, seconds);
    }

  private:
    metrics::http_metrics& into_;
  };

  struct system_config : caf::actor_system_config {
    system_config(coro::pool& threads, const cluster_settings& cluster);
  };

  config settings_;
  std::optional<std::string> made_key_;
  std::unique_ptr<store> store_;
  std::unique_ptr<runtime::driver> driver_;
  http::key_ring keys_;
  sandbox_tokens tokens_;
  metrics::registry metrics_;
  guest::local_data_plane data_;
  edge_counter edge_counter_;
  std::promise<bool> ended_; ///< true: told to stop; false: the worker died
  std::atomic<bool> ending_{false};
  boost::asio::thread_pool store_thread_{1};
  coro::pool threads_;
  boost::asio::signal_set signals_{threads_.context(0), SIGINT, SIGTERM};
  http::relay::relays relays_;
  std::unique_ptr<http::platform::proxy> platform_; ///< nullptr: there are no services
  http::egress::gates gates_;
  services services_;
  cluster_node node_;
  system_config system_config_;
  caf::actor_system system_;
  event_log_actor events_;
  std::vector<webhook_actor> webhooks_;
  worker_actor worker_;
  membership_actor members_;
  runtime::oci::importer importer_;
  image_provider images_;
  http::router router_;
  http::gateway::gateway gateway_;
  std::vector<pooled_model> pooled_;
  std::vector<container_pool_actor> container_pools_; ///< their keepers, once the server serves
  http::context context_;
  http::server server_;
  std::uint16_t port_ = 0;
};

} // namespace sandy
