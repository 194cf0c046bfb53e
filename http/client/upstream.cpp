#include "http/client/upstream.hpp"

#include "http/client/trust.hpp"
#include "http/timed.hpp"

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
// For each step of a greeting; all of them are within the time of the whole connection.
constexpr std::chrono::milliseconds greeting_stall{10'000};

/// The pool is a part of the shard: what it owns must not keep the shard.
std::shared_ptr<shard> borrowed(shard& home) { return {std::shared_ptr<void>{}, &home}; }

caf::error nothing_listens(std::uint16_t port) {
  return fail(errc::upstream_error,
              "Upstream error: nothing listens on port " + std::to_string(port) + " of the sandbox");
}

caf::error unreachable(const std::string& why) {
  return fail(errc::upstream_error, "Upstream error: the host cannot be reached: " + why);
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

void upstream::consume(std::size_t count) noexcept {
  if (tls_)
    tls_->consume(count);
  else
    link.buffer().consume(count);
}

io_task<io_status> upstream::wait_readable(std::chrono::milliseconds timeout) {
  if (tls_ && tls_->more_at_hand())
    return [](io_status now) -> io_task<io_status> { co_return now; }(io_status::ok);
  return link.wait_readable(timeout);
}

io_task<io_status> upstream::send(connection::pieces bytes, std::chrono::milliseconds stall_timeout) {
  return tls_ ? tls_->send(link, bytes, stall_timeout) : link.send(bytes, stall_timeout);
}

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
    if (found.link.receive(&byte, 1, count) != io_status::would_block) {
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
    co_return fail(errc::deadline_exceeded, "Upstream error: the host did not answer in time");
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

/// Connects to a host of the world.
io_task<result<void>> upstream_pool::reach(upstream& made) {
  auto reached = co_await reach_first(made);
  if (!reached || !made.to_.tls)
    co_return reached;
  const auto& trusted = home_.common->server.trusted;
  if (!trusted)
    co_return fail(errc::feature_unavailable, "This server asks no host by TLS");
  auto side = tls_side::make(trusted->context(), made.to_.host);
  if (!side)
    co_return std::move(side.error());
  made.tls_ = std::move(*side);
  auto met = co_await made.tls_->greet(made.link, greeting_stall);
  if (!met)
    co_return fail(code_of(met.error()), "Upstream error: the host " + text_of(met.error()));
  co_return caf::unit;
}

/// The first of its addresses that takes a connection.
io_task<result<void>> upstream_pool::reach_first(upstream& made) {
  auto found = co_await names_.find(made.to_.host);
  if (!found)
    co_return unreachable(text_of(found.error()));
  boost::system::error_code failed;
  auto& socket = made.link.raw();
  for (const auto& each : *found) {
    boost::system::error_code ignored;
    socket.close(ignored);
    const tcp::endpoint place{each, made.to_.port};
    auto [refused] = co_await socket.async_connect(place, as_values);
    failed = refused;
    if (failed)
      continue;
    made.link.tune();
    co_return caf::unit;
  }
  co_return unreachable(failed.message());
}

void upstream_pool::keep(handle used) {
  // Bytes behind an answer belong to no request of ours.
  const auto& inside = used->to_.inside;
  if (closed_ || !used->link.buffer().empty() || (used->tls_ && !used->tls_->is_empty()) ||
      (inside && inside->state != runtime::entrance_state::open))
    return;
  if (idle_count_ == most_idle)
    forget(static_cast<upstream&>(*idle_.prev()));
  ++idle_count_;
  used->used_before = true;
  used->parser.reset();
  used->idle_.set(idle_time);
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

void upstream_pool::close() {
  closed_ = true;
  while (idle_.linked())
    forget(static_cast<upstream&>(*idle_.next()));
}

} // namespace sandy::http::client
