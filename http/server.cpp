#include "http/server.hpp"

#include "http/ingress/upstream.hpp"
#include "http/inside_listener.hpp"
#include "http/session.hpp"
#include "metrics/log.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <charconv>
#include <string>

namespace sandy::http {

namespace net = boost::asio;
using net::ip::tcp;

namespace {

constexpr auto as_values = net::as_tuple(net::use_awaitable_t<io_executor>{});
using io_timer = net::basic_waitable_timer<std::chrono::steady_clock,
                                           net::wait_traits<std::chrono::steady_clock>, io_executor>;

// The kernel's queue of connections that nobody accepted yet; it cuts this to net.core.somaxconn.
constexpr int backlog = 4096;

// Connections over the limit that may be told so at a time. A flood beyond is closed without a word.
constexpr std::size_t polite_refusals = 128;

// Below it are the machine's own services: a sandbox must not be where one of them would start.
constexpr std::uint16_t first_free_port = 1024;
// Ports of sandboxes that are listened on. More are reached by their host names all the same.
constexpr std::size_t most_ports = 1024;

// Out of descriptors: accepting at once again would fail again, and burn a core.
constexpr std::chrono::milliseconds accept_pause{50};

// How often `stop` looks whether all sessions are gone.
constexpr std::chrono::milliseconds stop_poll{5};
constexpr std::chrono::milliseconds kill_patience{2'000};

std::chrono::milliseconds tick_for(const edge_limits& limits) {
  auto shortest =
      std::min({limits.header_timeout, limits.idle_timeout, limits.body_timeout, limits.write_timeout});
  // A quarter late is good enough; four wake-ups a second cost nothing.
  return std::clamp(shortest / 4, std::chrono::milliseconds{5}, std::chrono::milliseconds{250});
}

/// Calls for every member of a list, which may leave the list meanwhile.
template <class T, class F>
void on_each(coro::list_hook& list, F call) {
  for (auto* hook = list.next(); hook != &list;) {
    auto& member = static_cast<T&>(*hook);
    hook = hook->next();
    call(member);
  }
}

void accepting_ended(const std::exception_ptr& what) {
  if (what)
    std::rethrow_exception(what); // a bug: better a dead server than one that listens and never answers
}

/// Binds and listens.
template <class Acceptor>
boost::system::error_code listen_on(Acceptor& acceptor, const tcp::endpoint& where) {
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

result<tcp::endpoint> parse_endpoint(std::string_view text) {
  auto bad = [&] {
    return fail(errc::invalid_argument, "'" + std::string{text} + "' is not an address like 127.0.0.1:7330");
  };
  auto colon = text.rfind(':');
  if (colon == std::string_view::npos)
    return bad();
  auto host = text.substr(0, colon), digits = text.substr(colon + 1);
  std::uint16_t port = 0;
  auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (digits.empty() || problem != std::errc{} || end != digits.data() + digits.size())
    return bad();
  if (host.starts_with('[') && host.ends_with(']'))
    host = host.substr(1, host.size() - 2);
  boost::system::error_code ec;
  auto address = net::ip::make_address(std::string{host}, ec);
  if (ec)
    return bad();
  return tcp::endpoint{address, port};
}

} // namespace

server::server(context& shared, const router& routes, http_observer& observer,
               std::vector<net::io_context*> contexts)
    : common_(new edge{shared, routes, observer}) {
  for (auto* io : contexts)
    shards_.push_back(std::make_shared<shard>(*io, common_, tick_for(shared.limits)));
  acceptor_ = std::make_shared<acceptor>(shards_.front()->io_context.get_executor());
  if (shared.entrances != nullptr)
    shared.entrances->observe(this);
}

server::~server() {
  if (common_->server.entrances != nullptr)
    common_->server.entrances->observe(nullptr);
}

result<std::uint16_t> server::start(std::string_view address) {
  auto endpoint = parse_endpoint(address);
  if (!endpoint)
    return std::move(endpoint.error());
  auto ec = listen_on(*acceptor_, *endpoint);
  tcp::endpoint bound;
  if (!ec)
    bound = acceptor_->local_endpoint(ec);
  if (ec)
    return fail(errc::conflict, "Cannot listen on " + std::string{address} + ": " + ec.message());
  {
    std::lock_guard lock{ports_mutex_};
    address_ = bound.address();
    for (auto& [port, each] : ports_) // of sandboxes that were there before
      each.listener = open_port(port);
  }
  net::co_spawn(shards_.front()->io_context, accept_loop(acceptor_, common_, shards_, 0), accepting_ended);
  for (const auto& each : shards_)
    net::post(each->io_context, [each] {
      each->accepting = true;
      on_each<inside_listener>(each->inside, [](inside_listener& door) { door.begin_accepting(); });
    });
  return bound.port();
}

std::shared_ptr<void> server::serve_inside(runtime::unique_fd listener, principal inside) {
  const auto& home = shards_[next_home_.fetch_add(1, std::memory_order_relaxed) % shards_.size()];
  auto id = inside.sandbox.value;
  auto made = inside_listener::make(std::move(listener), std::move(inside), home);
  if (!made) {
    log_event(log_level::error, "inside_not_served", {{"sandbox_id", id}, {"what", text_of(made.error())}});
    return nullptr;
  }
  net::post(home->io_context, [door = *made] { door->start(); });
  auto* address = made->get();
  return {address, [&io = home->io_context, door = std::move(*made)](void*) mutable {
            net::post(io, [door = std::move(door)] { door->close(); });
          }};
}

io_task<void> server::accept_loop(std::shared_ptr<acceptor> listening, std::shared_ptr<edge> common,
                                  std::vector<std::shared_ptr<shard>> shards, std::uint16_t arrival_port) {
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
    auto open = common->connections.fetch_add(1, std::memory_order_relaxed) -
                common->inside.load(std::memory_order_relaxed);
    const auto limit = std::size_t{common->server.limits.connections};
    if (open >= limit + polite_refusals) {
      common->connections.fetch_sub(1, std::memory_order_relaxed);
      continue;
    }
    net::post(home->io_context,
              [home, refuse = open >= limit, arrival_port, client = std::move(socket)]() mutable {
                session::start(std::move(client), std::move(home), refuse, nullptr, arrival_port);
              });
  }
}

// -- sandboxes' ports
// -------------------------------------------------------------------------------------------------------

void server::entrance_opened(const runtime::entrance& opened) {
  if (!common_->server.port_listeners || opened.state == runtime::entrance_state::starting)
    return;
  std::lock_guard lock{ports_mutex_};
  for (auto port : opened.exposed_ports) {
    auto& known = ports_[port];
    if (++known.sandboxes == 1 && address_)
      known.listener = open_port(port);
  }
}

/// Listens for sandboxes; nullptr when that is not possible.
std::shared_ptr<server::acceptor> server::open_port(std::uint16_t port) {
  if (port < first_free_port || ports_.size() > most_ports || common_->draining)
    return nullptr;
  auto& home = shards_[next_home_.fetch_add(1, std::memory_order_relaxed) % shards_.size()]->io_context;
  auto listener = std::make_shared<acceptor>(home.get_executor());
  if (auto ec = listen_on(*listener, {*address_, port})) {
    log_event(log_level::warn, "port_not_served", {{"port", port}, {"what", ec.message()}});
    return nullptr;
  }
  net::co_spawn(home, accept_loop(listener, common_, shards_, port), accepting_ended);
  return listener;
}

void server::close_port(std::shared_ptr<acceptor> listener) {
  if (listener)
    net::post(listener->get_executor(), [listener] {
      boost::system::error_code ignored; // closed twice is closed
      listener->close(ignored);
    });
}

void server::entrance_changed(const runtime::entrance& changed) {
  for (const auto& each : shards_)
    net::post(each->io_context, [each] { each->upstreams->look_again(); });
  if (!common_->server.port_listeners || changed.state != runtime::entrance_state::gone || !changed.sockets)
    return;
  std::lock_guard lock{ports_mutex_};
  for (auto port : changed.exposed_ports) {
    auto known = ports_.find(port);
    if (known == ports_.end() || --known->second.sandboxes > 0)
      continue;
    close_port(std::move(known->second.listener));
    ports_.erase(known);
  }
}

std::vector<std::uint16_t> server::ports_not_served(const std::vector<std::uint16_t>& exposed) const {
  std::vector<std::uint16_t> missing;
  if (!common_->server.port_listeners)
    return missing;
  std::lock_guard lock{ports_mutex_};
  for (auto port : exposed)
    if (auto known = ports_.find(port); known == ports_.end() || !known->second.listener)
      missing.push_back(port);
  return missing;
}

template <class F>
void server::on_each_shard(F call) {
  for (const auto& each : shards_)
    net::post(each->io_context, [each, call] {
      on_each<session>(each->sessions, call);
      on_each<inside_listener>(each->inside,
                               [call](inside_listener& door) { on_each<session>(door.sessions(), call); });
    });
}

io_task<void> server::wait_until_empty(std::chrono::milliseconds patience) {
  auto executor = co_await net::this_coro::executor;
  io_timer pause{executor};
  auto give_up = std::chrono::steady_clock::now() + patience;
  while (connections() > 0 && std::chrono::steady_clock::now() < give_up) {
    pause.expires_after(stop_poll);
    co_await pause.async_wait(as_values);
  }
}

io_task<std::size_t> server::stop(std::chrono::milliseconds grace) {
  common_->draining = true;
  net::post(shards_.front()->io_context, [listening = acceptor_] {
    boost::system::error_code ignored; // closed twice is closed
    listening->close(ignored);
  });
  {
    std::lock_guard lock{ports_mutex_};
    for (auto& [port, each] : ports_)
      close_port(std::move(each.listener));
  }
  for (const auto& each : shards_)
    net::post(each->io_context, [each] {
      on_each<inside_listener>(each->inside, [](inside_listener& door) { door.stop_accepting(); });
      each->upstreams->close();
    });
  on_each_shard([](session& client) { client.drain(); });
  co_await wait_until_empty(grace);
  on_each_shard([](session& client) { client.kill(); });
  co_await wait_until_empty(kill_patience);
  co_return connections();
}

} // namespace sandy::http
