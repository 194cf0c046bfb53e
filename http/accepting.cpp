#include "http/accepting.hpp"

#include "http/session.hpp"
#include "http/timed.hpp"
#include "metrics/log.hpp"

#include <boost/asio/post.hpp>

#include <chrono>

namespace sandy::http {

namespace net = boost::asio;
using net::ip::tcp;

namespace {

// The kernel's queue of connections that nobody accepted yet; it cuts this to net.core.somaxconn.
constexpr int backlog = 4096;

// Connections over the limit that may be told so at a time. A flood beyond is closed without a word.
constexpr std::size_t polite_refusals = 128;

// From other nodes. Each passes on what many clients ask, and waits are long; the bound is for a flood of
// those who are none, which holds about 300 MiB of memory then.
constexpr std::size_t most_from_nodes = 10'000;

// Out of descriptors: accepting at once again would fail again, and burn a core.
constexpr std::chrono::milliseconds accept_pause{50};

/// Counts one more connection. @returns how many of its kind there were.
std::size_t count_in(edge& common, bool from_node) {
  auto all = common.connections.fetch_add(1, std::memory_order_relaxed);
  if (from_node)
    return common.nodes.fetch_add(1, std::memory_order_relaxed);
  return all - common.inside.load(std::memory_order_relaxed) - common.nodes.load(std::memory_order_relaxed);
}

void count_out(edge& common, bool from_node) {
  if (from_node)
    common.nodes.fetch_sub(1, std::memory_order_relaxed);
  common.connections.fetch_sub(1, std::memory_order_relaxed);
}

} // namespace

boost::system::error_code listen_on(client_acceptor& acceptor, const tcp::endpoint& where) {
  boost::system::error_code ec;
  acceptor.open(where.protocol(), ec);
  if (!ec)
    acceptor.set_option(net::socket_base::reuse_address{true},
                        ec); // a restart need not wait for old connections
  if (!ec)
    acceptor.bind(where, ec);
  if (!ec)
    acceptor.listen(backlog, ec);
  return ec;
}

io_task<void> accept_clients(std::shared_ptr<client_acceptor> listening, std::shared_ptr<edge> common,
                             std::vector<std::shared_ptr<shard>> shards, std::uint16_t arrival_port,
                             bool from_nodes) {
  io_timer pause{listening->get_executor()};
  for (std::size_t next = 0;; next = (next + 1) % shards.size()) {
    const auto& home = shards[next];
    auto accepted = co_await listening->async_accept(home->io_context.get_executor(), as_values);
    auto& [ec, socket] = accepted;
    if (common->draining.load(std::memory_order_relaxed) || !listening->is_open())
      co_return;
    if (ec == net::error::connection_aborted)
      continue; // the client gave up while it waited
    if (ec) {
      log_event(log_level::warn, "http_accept_failed", {{"what", ec.message()}});
      pause.expires_after(accept_pause);
      co_await pause.async_wait(as_values);
      continue;
    }
    auto open = count_in(*common, from_nodes);
    const auto limit = from_nodes ? most_from_nodes : std::size_t{common->server.limits.connections};
    if (open >= limit + (from_nodes ? 0 : polite_refusals)) {
      count_out(*common, from_nodes);
      continue;
    }
    net::post(home->io_context,
              [home, refuse = open >= limit, arrival_port, from_nodes, client = std::move(socket)]() mutable {
                session::start(std::move(client), std::move(home), refuse, nullptr, arrival_port, from_nodes);
              });
  }
}

void accepting_ended(const std::exception_ptr& what) {
  if (what)
    std::rethrow_exception(what);
}

} // namespace sandy::http
