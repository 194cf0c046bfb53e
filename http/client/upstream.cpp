#include "http/client/upstream.hpp"

#include "http/client/trust.hpp"
#include "http/nodes/credentials.hpp"
#include "http/nodes/idle_times.hpp"
#include "http/timed.hpp"
#include "http/tls_stream.hpp"
#include "http/watch_peer.hpp"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/ip/address_v6.hpp>

#include <algorithm>

namespace sandy::http::client {

namespace net = boost::asio;
using net::ip::tcp;

namespace {

// Per thread. Each holds two descriptors' worth of kernel memory, and a place in the server.
constexpr std::size_t most_idle = 256;
// Node closes a connection that idles for 5 s: one that is reused shortly before would lose a request.
constexpr std::chrono::milliseconds idle_time{4'000};
// Of TLS; it is within the time of the whole connection.
constexpr std::chrono::milliseconds greeting_patience{10'000};

/// The pool is a part of the shard: what it owns must not keep the shard.
std::shared_ptr<shard> borrowed(shard& home) { return {std::shared_ptr<void>{}, &home}; }

caf::error nothing_listens(std::uint16_t port) {
  return fail(errc::upstream_error,
              "Upstream error: nothing listens on port " + std::to_string(port) + " of the sandbox");
}

/// "Upstream error: the host did not answer"
caf::error failed(errc code, const address& to, const std::string& what) {
  return fail(code, std::string{"Upstream error: the "} + (to.node ? "node " : "host ") + what);
}

caf::error unreachable(const address& to, const std::string& why) {
  return failed(errc::upstream_error, to, "cannot be reached: " + why);
}

/// Our side of the TLS that is spoken there.
tls_stream::made tls_for(const address& to, const context& server) {
  if (to.node && server.node_credentials)
    return tls_stream::client(server.node_credentials->client());
  if (to.node)
    return fail(errc::feature_unavailable, "This server is no node of a cluster");
  if (server.trusted)
    return tls_stream::to_host(server.trusted->context(), to.host);
  return fail(errc::feature_unavailable, "This server asks no host by TLS");
}

} // namespace

upstream::upstream(upstream_pool& pool, shard& home, address to)
    : link(connection::socket{home.io_context.get_executor()}, borrowed(home))
    , to_(std::move(to))
    , pool_(pool)
    , idle_(
          *home.wheel,
          [](void* self) { static_cast<upstream*>(self)->pool_.forget(*static_cast<upstream*>(self)); },
          this) {}

upstream_pool::~upstream_pool() { close(); }

void upstream_pool::forget(upstream& idle) noexcept {
  --idle_count_;
  delete &idle;
}

upstream_pool::handle upstream_pool::reuse(const address& to) {
  for (auto* hook = idle_.next(); hook != &idle_;) {
    auto& found = static_cast<upstream&>(*hook);
    hook = hook->next();
    if (found.to_ != to)
      continue;
    // It must have nothing to say: the end, or bytes that nobody asked for.
    std::size_t count = 0;
    char byte = 0;
    if (found.link.receive(&byte, 1, count) != io_status::would_block || found.link.has_unread()) {
      forget(found);
      continue;
    }
    found.idle_.clear();
    --idle_count_;
    found.insert_before(busy_);
    return handle{&found};
  }
  return nullptr;
}

io_task<result<upstream_pool::handle>> upstream_pool::connect(address to, std::chrono::milliseconds timeout) {
  auto made = std::make_unique<upstream>(*this, home_, std::move(to));
  made->insert_before(busy_);
  io_timer timer{home_.io_context.get_executor(), timeout};
  auto work = made->to_.inside ? enter(*made) : reach(*made);
  auto outcome = co_await within(timer, std::move(work));
  if (!outcome && made->to_.inside) // loopback: only a listener with a full queue lets one wait
    co_return nothing_listens(made->to_.port);
  if (!outcome)
    co_return failed(errc::deadline_exceeded, made->to_, "did not answer in time");
  if (!*outcome)
    co_return std::move(outcome->error());
  co_return made;
}

/// Connects to a port of a sandbox.
io_task<result<void>> upstream_pool::enter(upstream& made) {
  const auto& inside = *made.to_.inside;
  const auto port = made.to_.port;
  if (std::ranges::find(inside.own_ports, port) != inside.own_ports.end())
    co_return nothing_listens(port);
  auto& socket = made.link.raw();
  const tcp::endpoint places[]{{net::ip::address_v4::loopback(), port},
                               {net::ip::address_v6::loopback(), port}};
  for (const auto& place : places) {
    auto opened = co_await inside.sockets(place.protocol().family());
    if (!opened) {
      if (place.address().is_v6()) // a kernel without it
        break;
      co_return std::move(opened.error());
    }
    if (inside.state == runtime::entrance_state::gone)
      co_return fail(errc::sandbox_not_found, "Sandbox not found");
    boost::system::error_code ec;
    socket.close(ec);
    socket.assign(place.protocol(), opened->get(), ec);
    if (ec)
      co_return fail(errc::internal, "The connection into the sandbox cannot be used: " + ec.message());
    [[maybe_unused]] auto owned_by_the_socket = opened->release();
    auto [refused] = co_await socket.async_connect(place, as_values);
    if (!refused) {
      made.link.tune();
      co_return caf::unit;
    }
  }
  co_return nothing_listens(port);
}

/// Connects to a host of the world, or to another node.
io_task<result<void>> upstream_pool::reach(upstream& made) {
  const auto& to = made.to_;
  auto reached = co_await reach_first(made);
  if (!reached || !(to.tls || to.node))
    co_return reached;
  if (to.node) // its machine may be gone without a word, while an answer is waited for as long as it takes
    watch_peer(made.link.raw().native_handle());
  auto side = tls_for(to, home_.common->server);
  if (!side)
    co_return std::move(side.error());
  auto met = co_await made.link.greet(std::move(*side), greeting_patience);
  if (!met)
    co_return failed(code_of(met.error()), to, text_of(met.error()));
  co_return caf::unit;
}

/// The first of its addresses that takes a connection.
io_task<result<void>> upstream_pool::reach_first(upstream& made) {
  auto found = co_await names_.find(made.to_.host);
  if (!found)
    co_return unreachable(made.to_, text_of(found.error()));
  boost::system::error_code refusal;
  auto& socket = made.link.raw();
  for (const auto& each : *found) {
    boost::system::error_code ignored;
    socket.close(ignored);
    const tcp::endpoint place{each, made.to_.port};
    auto [refused] = co_await socket.async_connect(place, as_values);
    refusal = refused;
    if (refusal)
      continue;
    made.link.tune();
    co_return caf::unit;
  }
  co_return unreachable(made.to_, refusal.message());
}

void upstream_pool::keep(handle used) {
  // Bytes behind an answer belong to no request of ours.
  const auto& inside = used->to_.inside;
  if (closed_ || used->link.has_unread() || (inside && inside->state != runtime::entrance_state::open))
    return;
  if (idle_count_ == most_idle)
    forget(static_cast<upstream&>(*idle_.prev()));
  ++idle_count_;
  used->used_before = true;
  used->parser.reset();
  used->idle_.set(used->to_.node ? nodes::kept_idle : idle_time);
  used->insert_before(*idle_.next());
  [[maybe_unused]] auto* owned_by_the_list = used.release();
}

void upstream_pool::look_again() {
  for (auto* hook = idle_.next(); hook != &idle_;) {
    auto& each = static_cast<upstream&>(*hook);
    hook = hook->next();
    if (each.to_.inside && each.to_.inside->state != runtime::entrance_state::open)
      forget(each);
  }
  for (auto* hook = busy_.next(); hook != &busy_;) {
    auto& each = static_cast<upstream&>(*hook);
    hook = hook->next();
    if (each.to_.inside && each.to_.inside->state == runtime::entrance_state::gone)
      each.link.abort();
  }
}

void upstream_pool::abandon(const address& lost) {
  for (auto* hook = idle_.next(); hook != &idle_;) {
    auto& each = static_cast<upstream&>(*hook);
    hook = hook->next();
    if (each.to_ == lost)
      forget(each);
  }
  for (auto* hook = busy_.next(); hook != &busy_; hook = hook->next())
    if (auto& each = static_cast<upstream&>(*hook); each.to_ == lost) {
      each.abandoned = true;
      each.link.abort();
    }
}

void upstream_pool::close() {
  closed_ = true;
  while (idle_.linked())
    forget(static_cast<upstream&>(*idle_.next()));
}

} // namespace sandy::http::client
