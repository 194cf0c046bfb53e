#include "http/port_listeners.hpp"

#include "metrics/log.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>

namespace sandy::http {

namespace net = boost::asio;

namespace {

// Ports of sandboxes that are listened on. More are reached by their host names all the same.
constexpr std::size_t most_ports = 1024;

void close_now(client_acceptor& listener) noexcept {
  boost::system::error_code ignored; // closed twice is closed
  listener.close(ignored);
}

} // namespace

port_listeners::port_listeners(std::shared_ptr<edge> common, std::vector<std::shared_ptr<shard>> shards)
    : common_(std::move(common))
    , shards_(std::move(shards)) {}

void port_listeners::begin(const net::ip::address& at) {
  std::lock_guard lock{mutex_};
  address_ = at;
  for (auto& [port, each] : ports_) // of sandboxes that were there before
    try_open(port, each);
}

void port_listeners::add(const std::vector<std::uint16_t>& ports) {
  std::lock_guard lock{mutex_};
  for (auto port : ports) {
    auto& known = ports_[port];
    ++known.sandboxes;
    try_open(port, known);
  }
}

void port_listeners::try_open(std::uint16_t port, exposed& which) {
  if (which.listener || which.sandboxes == 0 || !address_ || ports_.size() > most_ports)
    return;
  auto& home = shards_[next_home_++ % shards_.size()]->io_context;
  auto listener = std::make_shared<client_acceptor>(home.get_executor());
  if (auto ec = listen_on(*listener, {*address_, port})) {
    log_event(log_level::warn, "port_not_served", {{"port", port}, {"what", ec.message()}});
    return;
  }
  net::co_spawn(home, accept_clients(listener, common_, shards_, port), accepting_ended);
  which.listener = std::move(listener);
}

void port_listeners::remove(const std::vector<std::uint16_t>& ports) {
  std::lock_guard lock{mutex_};
  for (auto port : ports) {
    auto known = ports_.find(port);
    if (known == ports_.end() || known->second.sandboxes == 0 || --known->second.sandboxes > 0)
      continue;
    if (auto listener = known->second.listener)
      net::post(listener->get_executor(),
                [self = shared_from_this(), port, listener] { self->end(port, *listener); });
    else
      ports_.erase(known);
  }
}

/// Nobody exposed the port a moment ago. Runs on its listener's thread.
void port_listeners::end(std::uint16_t port, client_acceptor& listener) {
  std::lock_guard lock{mutex_};
  auto known = ports_.find(port);
  if (known == ports_.end() || known->second.sandboxes > 0 || known->second.listener.get() != &listener)
    return; // somebody does again, or did, and another listener's thread is told
  close_now(listener);
  ports_.erase(known);
}

void port_listeners::close() {
  std::lock_guard lock{mutex_};
  address_.reset();
  for (auto& [port, each] : ports_)
    if (auto listener = std::move(each.listener))
      net::post(listener->get_executor(), [listener] { close_now(*listener); });
}

std::vector<std::uint16_t> port_listeners::missing(const std::vector<std::uint16_t>& ports) const {
  std::vector<std::uint16_t> found;
  std::lock_guard lock{mutex_};
  for (auto port : ports)
    if (auto known = ports_.find(port); known == ports_.end() || !known->second.listener)
      found.push_back(port);
  return found;
}

} // namespace sandy::http
