#include "http/relay/door.hpp"

#include "http/timed.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/ip/address_v6.hpp>
#include <boost/asio/post.hpp>

#include <chrono>
#include <exception>

namespace sandy::http::relay {

namespace net = boost::asio;
using net::ip::tcp;

namespace {

// Loopback answers at once; only a listener with a full queue lets one wait.
constexpr std::chrono::seconds connect_timeout{10};

void rethrow(const std::exception_ptr& what) {
  if (what)
    std::rethrow_exception(what); // a bug, as in the loop of the server
}

io_task<bool> connect_in_time(socket& which, tcp::endpoint to) {
  io_timer timer{which.get_executor(), connect_timeout};
  auto connected = co_await within(timer, which.async_connect(to, as_values));
  co_return connected && !std::get<0>(*connected);
}

/// Connects the far side to the first of the target's places that answers.
io_task<bool> reach(relayed& pair, runtime::relay_target target, std::uint16_t port) {
  auto places = std::move(target.places);
  if (places.empty())
    places = {{net::ip::address_v4::loopback(), port}, {net::ip::address_v6::loopback(), port}};
  for (const auto& place : places) {
    auto made = co_await target.sockets(place.protocol().family());
    if (!made || pair.ended)
      co_return false;
    boost::system::error_code ec;
    pair.far.close(ec);
    pair.far.assign(place.protocol(), made->get(), ec);
    if (ec)
      co_return false;
    [[maybe_unused]] auto owned_by_the_socket = made->release();
    auto connected = co_await connect_in_time(pair.far, place);
    if (connected || pair.ended)
      co_return connected;
  }
  co_return false;
}

} // namespace

door::door(net::io_context& home, std::string label, std::shared_ptr<std::atomic<std::size_t>> open)
    : home_(home)
    , label_(std::move(label))
    , open_(std::move(open))
    , acceptor_(home) {}

result<std::shared_ptr<door>> door::make(net::io_context& home, runtime::connection_capture captured,
                                         std::string label, std::shared_ptr<std::atomic<std::size_t>> open) {
  std::shared_ptr<door> made{new door(home, std::move(label), std::move(open))};
  auto assigned = made->acceptor_.assign(tcp::v4(), std::move(captured.listener));
  if (!assigned)
    return std::move(assigned.error());
  made->steering_ = std::move(captured.steering);
  return made;
}

void door::start() {
  auto take = [self = shared_from_this()](socket client) { self->accepted(std::move(client)); };
  net::co_spawn(home_, acceptor_.run("relay_accept_failed", label_, std::move(take)), rethrow);
}

void door::post(std::function<void()> work) { net::post(home_, std::move(work)); }

void door::accepted(socket client) {
  boost::system::error_code ec;
  auto dialled = client.local_endpoint(ec); // a captured connection keeps the address that was asked for
  auto way = ec ? routes_.end() : routes_.find(dialled.address().to_v4().to_uint());
  auto pair = std::make_shared<relayed>(std::move(client));
  if (way == routes_.end() || dialled.port() == way->second->target.closed_port ||
      way->second->open >= most_per_address || open_->load() >= most_of_all)
    return pair->cut();
  pair->insert_before(way->second->pairs);
  ++way->second->open;
  ++*open_;
  net::co_spawn(home_, serve(std::move(pair), way->second, dialled.port(), open_), rethrow);
}

io_task<void> door::serve(std::shared_ptr<relayed> pair, std::shared_ptr<route> way, std::uint16_t port,
                          std::shared_ptr<std::atomic<std::size_t>> open) {
  auto in_use = way->target.use();
  auto reached = co_await reach(*pair, way->target, port);
  if (reached && !pair->ended)
    co_await move_bytes(pair);
  else
    pair->cut();
  pair->unlink();
  --way->open;
  --*open;
}

void door::open(std::uint32_t address, runtime::relay_target target) {
  cut(address);
  if (!acceptor_.is_open())
    return;
  auto way = std::make_shared<route>();
  way->target = std::move(target);
  routes_.emplace(address, std::move(way));
}

void door::cut(std::uint32_t address) noexcept {
  auto way = routes_.find(address);
  if (way == routes_.end())
    return;
  auto& pairs = way->second->pairs;
  while (pairs.linked()) {
    auto& pair = static_cast<relayed&>(*pairs.next());
    pair.unlink();
    pair.cut();
  }
  routes_.erase(way);
}

void door::close() noexcept {
  steering_.reset(); // first: what comes from now on is refused, not left waiting
  acceptor_.close();
  while (!routes_.empty())
    cut(routes_.begin()->first);
}

} // namespace sandy::http::relay
