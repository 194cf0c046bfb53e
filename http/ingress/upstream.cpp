#include "http/ingress/upstream.hpp"

#include "http/timed.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/ip/address_v6.hpp>

#include <algorithm>

namespace sandy::http::ingress {

namespace net = boost::asio;
using net::ip::tcp;

namespace {

// Per thread. Each holds two descriptors' worth of kernel memory, and a place in the application.
constexpr std::size_t most_idle = 256;
// Node closes a connection that idles for 5 s: one that is reused shortly before would lose a request.
constexpr std::chrono::milliseconds idle_time{4'000};
// Loopback answers at once; only a listener with a full queue lets one wait.
constexpr std::chrono::seconds connect_timeout{10};

/// The pool is a part of the shard: what it owns must not keep the shard.
std::shared_ptr<shard> borrowed(shard& home) { return {std::shared_ptr<void>{}, &home}; }

io_task<bool> connect_in_time(connection::socket& which, tcp::endpoint to) {
  using net::experimental::awaitable_operators::operator||;
  io_timer timer{which.get_executor(), connect_timeout};
  auto first = co_await (which.async_connect(to, as_values) || timer.async_wait(as_values));
  co_return first.index() == 0 && !std::get<0>(std::get<0>(first));
}

caf::error nothing_listens(std::uint16_t port) {
  return fail(errc::upstream_error,
              "Upstream error: nothing listens on port " + std::to_string(port) + " of the sandbox");
}

} // namespace

upstream::upstream(upstream_pool& pool, shard& home, std::shared_ptr<const runtime::entrance> to,
                   std::uint16_t port)
    : link(connection::socket{home.io_context.get_executor()}, borrowed(home))
    , to_(std::move(to))
    , port_(port)
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

upstream_pool::handle upstream_pool::reuse(const runtime::entrance& to, std::uint16_t port) {
  for (auto* hook = idle_.next(); hook != &idle_;) {
    auto& found = static_cast<upstream&>(*hook);
    hook = hook->next();
    if (found.to_.get() != &to || found.port_ != port)
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

io_task<result<upstream_pool::handle>> upstream_pool::connect(std::shared_ptr<const runtime::entrance> to,
                                                              std::uint16_t port) {
  if (std::ranges::find(to->own_ports, port) != to->own_ports.end())
    co_return nothing_listens(port);
  auto made = std::make_unique<upstream>(*this, home_, to, port);
  made->insert_before(busy_);
  auto& socket = made->link.raw();
  const tcp::endpoint places[]{{net::ip::address_v4::loopback(), port},
                               {net::ip::address_v6::loopback(), port}};
  for (const auto& place : places) {
    auto opened = co_await to->sockets(place.protocol().family());
    if (!opened) {
      if (place.address().is_v6()) // a kernel without it
        break;
      co_return std::move(opened.error());
    }
    if (to->state == runtime::entrance_state::gone)
      co_return fail(errc::sandbox_not_found, "Sandbox not found");
    boost::system::error_code ec;
    socket.close(ec);
    socket.assign(place.protocol(), opened->get(), ec);
    if (ec)
      co_return fail(errc::internal, "The connection into the sandbox cannot be used: " + ec.message());
    [[maybe_unused]] auto owned_by_the_socket = opened->release();
    auto connected = co_await connect_in_time(socket, place);
    if (connected) {
      made->link.tune();
      co_return made;
    }
  }
  co_return nothing_listens(port);
}

void upstream_pool::keep(handle used) {
  // Bytes behind an answer belong to no request of ours.
  if (closed_ || !used->link.buffer().empty() || used->to_->state != runtime::entrance_state::open)
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
    if (each.to_->state != runtime::entrance_state::open)
      forget(each);
  }
  for (auto* hook = busy_.next(); hook != &busy_;) {
    auto& each = static_cast<upstream&>(*hook);
    hook = hook->next();
    if (each.to_->state == runtime::entrance_state::gone)
      each.link.abort();
  }
}

void upstream_pool::close() {
  closed_ = true;
  while (idle_.linked())
    forget(static_cast<upstream&>(*idle_.next()));
}

} // namespace sandy::http::ingress
