#include "http/server.hpp"

#include "http/client/upstream.hpp"
#include "http/inside_listener.hpp"
#include "http/platform/door.hpp"
#include "http/session.hpp"
#include "http/timed.hpp"
#include "metrics/log.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <charconv>
#include <string>

namespace sandy::http {

namespace net = boost::asio;
using net::ip::tcp;

namespace {

// How often `stop` looks whether all sessions are gone.
constexpr std::chrono::milliseconds stop_poll{5};
constexpr std::chrono::milliseconds kill_patience{2'000};
// For tunnels to end both their sides, and for streams of chats to say why they end, once the grace is over.
constexpr std::chrono::milliseconds farewell{1'000};

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
  ports_ = std::make_shared<port_listeners>(common_, shards_);
  if (shared.entrances != nullptr)
    shared.entrances->observe(this);
}

server::~server() {
  if (common_->server.entrances != nullptr)
    common_->server.entrances->observe(nullptr);
}

/// Listens on an address.
result<tcp::endpoint> server::open(std::string_view address, bool for_nodes) {
  auto endpoint = parse_endpoint(address);
  if (!endpoint)
    return std::move(endpoint.error());
  auto made = std::make_shared<client_acceptor>(shards_.front()->io_context.get_executor());
  auto ec = listen_on(*made, *endpoint);
  tcp::endpoint bound;
  if (!ec)
    bound = made->local_endpoint(ec);
  if (ec)
    return fail(errc::conflict, "Cannot listen on " + std::string{address} + ": " + ec.message());
  acceptors_.push_back(made);
  if (for_nodes && !started_)
    node_acceptor_ = std::move(made);
  else
    accept(std::move(made), for_nodes);
  return bound;
}

void server::accept(std::shared_ptr<client_acceptor> listening, bool from_nodes) {
  net::co_spawn(shards_.front()->io_context,
                accept_clients(std::move(listening), common_, shards_, 0, from_nodes), accepting_ended);
}

result<std::uint16_t> server::start(std::string_view address) {
  auto bound = open(address);
  if (!bound)
    return std::move(bound.error());
  ports_->begin(bound->address());
  started_ = true;
  if (node_acceptor_)
    accept(std::move(node_acceptor_), true);
  for (const auto& each : shards_)
    net::post(each->io_context, [each] {
      each->accepting = true;
      on_each<inside_listener>(each->inside, [](inside_listener& door) { door.begin_accepting(); });
    });
  return bound->port();
}

result<std::uint16_t> server::listen_also(std::string_view address) {
  auto bound = open(address);
  if (!bound)
    return std::move(bound.error());
  return bound->port();
}

result<std::uint16_t> server::listen_for_nodes(std::string_view address) {
  if (!common_->server.node_credentials)
    return fail(errc::feature_unavailable, "This server has no certificate that other nodes know it by");
  auto bound = open(address, true);
  if (!bound)
    return std::move(bound.error());
  return bound->port();
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

std::shared_ptr<shard> server::shard_of(net::io_context& home) const {
  auto found = std::ranges::find_if(shards_, [&](const auto& each) { return &each->io_context == &home; });
  return found == shards_.end() ? nullptr : *found;
}

void server::abandon_node(const std::string& host, std::uint16_t port) const {
  for (const auto& each : shards_)
    net::post(each->io_context,
              [each, lost = client::address::of_node(host, port)] { each->upstreams->abandon(lost); });
}

std::unique_ptr<egress::platform_door> server::open_platform(net::io_context& home,
                                                             const std::string& sandbox) {
  auto found = shard_of(home);
  if (!found)
    return nullptr; // nobody's: the gates have the contexts that we have
  return std::make_unique<platform::door>(common_->server, std::move(found), sandbox_id{sandbox});
}

void server::entrance_opened(const runtime::entrance& opened) {
  if (common_->server.port_listeners && opened.state != runtime::entrance_state::starting)
    ports_->add(opened.exposed_ports);
}

void server::entrance_changed(const runtime::entrance& changed) {
  for (const auto& each : shards_)
    net::post(each->io_context, [each] { each->upstreams->look_again(); });
  // One without sockets never was more than about to start.
  if (common_->server.port_listeners && changed.state == runtime::entrance_state::gone && changed.sockets)
    ports_->remove(changed.exposed_ports);
}

std::vector<std::uint16_t> server::ports_not_served(const std::vector<std::uint16_t>& exposed) const {
  return common_->server.port_listeners ? ports_->missing(exposed) : std::vector<std::uint16_t>{};
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
  net::post(shards_.front()->io_context, [all = acceptors_] {
    boost::system::error_code ignored; // closed twice is closed
    for (const auto& listening : all)
      listening->close(ignored);
  });
  ports_->close();
  for (const auto& each : shards_)
    net::post(each->io_context, [each] {
      on_each<inside_listener>(each->inside, [](inside_listener& door) { door.stop_accepting(); });
      each->upstreams->close();
      each->draining.come();
    });
  on_each_shard([](session& client) { client.drain(); });
  co_await wait_until_empty(grace);
  for (const auto& each : shards_)
    net::post(each->io_context, [each] { each->grace_over.come(); });
  co_await wait_until_empty(farewell);
  on_each_shard([](session& client) { client.kill(); });
  co_await wait_until_empty(kill_patience);
  co_return connections();
}

} // namespace sandy::http
