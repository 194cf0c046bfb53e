#include "http/nodes/credentials.hpp"
#include "http/session.hpp"
#include "http/tls_stream.hpp"
#include "http/watch_peer.hpp"

namespace sandy::http {

namespace {

// For the other side to take the alert that says why: a reset could destroy it on its way.
constexpr std::chrono::milliseconds farewell{2'000};

} // namespace

/// Before the first request of a connection to the nodes' listener. False: whoever it is, it is no node.
io_task<bool> session::greet_node() {
  watch_peer(connection_.raw().native_handle()); // a machine may be gone without a word
  auto side = tls_stream::server(server().node_credentials->server());
  if (!side) {
    shard_->common->refused_nodes.tell(origin().address, text_of(side.error()));
    co_return false;
  }
  auto met = co_await connection_.greet(std::move(*side), limits().header_timeout);
  if (met)
    co_return true;
  if (!shard_->common->draining.load(std::memory_order_relaxed))
    shard_->common->refused_nodes.tell(origin().address, text_of(met.error()));
  co_await connection_.close_gently(farewell);
  co_return false;
}

} // namespace sandy::http
