#pragma once

#include "http/accepting.hpp"
#include "http/context.hpp"
#include "http/egress/platform_door.hpp"
#include "http/observer.hpp"
#include "http/port_listeners.hpp"
#include "http/router.hpp"
#include "http/shard.hpp"
#include "runtime/entrance.hpp"
#include "runtime/unique_fd.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace sandy::http {

/// The listener and its sessions. One acceptor hands connections to the io_contexts in turn: a listening
/// socket per thread (SO_REUSEPORT) would spread few connections unevenly and lose those that wait in a queue
/// when it closes.
class server : private runtime::entrance_observer {
public:
  /// @param shared, routes, observer outlive the server, and the sessions that `stop` could not end.
  /// @param contexts each run by one thread, at least one.
  server(context& shared, const router& routes, http_observer& observer,
         std::vector<boost::asio::io_context*> contexts);
  server(const server&) = delete;
  server& operator=(const server&) = delete;
  /// Only after `stop`, or when the contexts do not run any more.
  ~server() override;

  /// Binds and begins to accept. Call once. @param address "127.0.0.1:7330", "[::1]:7330"; port 0 lets the
  /// kernel choose.
  /// @returns the port. Fails with invalid_argument (not an address) or conflict (the kernel refuses it).
  result<std::uint16_t> start(std::string_view address);
  /// Accepts on another address, too. After `start`. @returns and fails as it does.
  result<std::uint16_t> listen_also(std::string_view address);
  /// Accepts other nodes of the cluster on another address, from `start` on: who cannot show a certificate of
  /// its authority (`context::node_credentials`) is refused, and logged as node_refused. Before or after it.
  /// @returns and fails as it does; fails with feature_unavailable when this server is alone.
  result<std::uint16_t> listen_for_nodes(std::string_view address);

  /// Also serves connections from inside a sandbox, at most 64 of them at a time, from the moment the server
  /// is started. On any thread. @param listener a TCP socket that listens in the sandbox's network namespace.
  /// @param inside the sandbox and its tenant: what `exchange::inside` tells. @returns the owner of all this,
  /// nullptr when the descriptor cannot be used (logged). Destroying it closes the listener and its
  /// connections, those with running requests too, soon and on the right thread. The contexts outlive it.
  std::shared_ptr<void> serve_inside(runtime::unique_fd listener, principal inside);

  /// The door of one sandbox to the platform's services, which `context::platform` has. @param home one of
  /// the contexts; called on its thread.
  std::unique_ptr<egress::platform_door> open_platform(boost::asio::io_context& home,
                                                       const std::string& sandbox);

  /// Stops accepting, closes idle connections, has WebSockets say good-bye, waits for running requests up to
  /// `grace`, then cancels them; tunnels end properly. Runs on any of the contexts. @returns how many
  /// requests did not end even when cancelled (after 2 s): 0 unless a handler hangs.
  io_task<std::size_t> stop(std::chrono::milliseconds grace);

  /// Of these ports of sandboxes, those that are listened on nowhere, although they should be: something else
  /// has them, or the machine keeps them for itself. On any thread.
  std::vector<std::uint16_t> ports_not_served(const std::vector<std::uint16_t>& exposed) const;

  /// Breaks off what another node is asked, on any thread: it is lost, and its kernel would keep us waiting.
  void abandon_node(const std::string& host, std::uint16_t port) const;

  /// What belongs to the thread of one of the contexts; they outlive it. @param home one of the contexts.
  std::shared_ptr<shard> shard_of(boost::asio::io_context& home) const;

  /// Connections now.
  std::size_t connections() const noexcept { return common_->connections.load(std::memory_order_acquire); }

private:
  void entrance_opened(const runtime::entrance& opened) override;
  void entrance_changed(const runtime::entrance& changed) override;
  io_task<void> wait_until_empty(std::chrono::milliseconds patience);
  template <class F>
  void on_each_shard(F call);
  result<boost::asio::ip::tcp::endpoint> open(std::string_view address, bool for_nodes = false);
  void accept(std::shared_ptr<client_acceptor> listening, bool from_nodes);

  std::shared_ptr<edge> common_;
  std::vector<std::shared_ptr<shard>> shards_;
  std::atomic<std::size_t> next_home_{0}; ///< of a sandbox's listener
  /// Shared with their accept loops; used on the first context's thread.
  std::vector<std::shared_ptr<client_acceptor>> acceptors_;
  std::shared_ptr<client_acceptor> node_acceptor_; ///< until it accepts
  bool started_ = false;
  std::shared_ptr<port_listeners> ports_;
};

} // namespace sandy::http
