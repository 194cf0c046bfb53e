#include "http/relay/relayed.hpp"

#include "http/timed.hpp"
#include "http/watch_peer.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/asio/write.hpp>

#include <cstddef>

namespace sandy::http::relay {

namespace net = boost::asio;

namespace {

constexpr std::size_t piece_bytes = 64 * 1024;

void reset(socket& which) noexcept {
  boost::system::error_code ignored; // closed twice is closed
  which.set_option(net::socket_base::linger{true, 0}, ignored);
  which.close(ignored);
}

/// Moves what is there, and waits until `to` took it. @returns false when nothing will follow.
io_task<bool> move_some(relayed& pair, bool out) {
  auto& from = out ? pair.near : pair.far;
  auto& to = out ? pair.far : pair.near;
  const auto& count = out ? pair.sent : pair.received;
  // Only while something moves: thousands of idle connections hold no memory.
  auto memory = std::make_unique_for_overwrite<char[]>(piece_bytes);
  for (;;) {
    boost::system::error_code ec;
    auto size = from.read_some(net::buffer(memory.get(), piece_bytes), ec);
    if (ec == net::error::would_block || ec == net::error::try_again)
      co_return true;
    if (ec == net::error::eof) {
      to.shutdown(net::socket_base::shutdown_send, ec);
      co_return false;
    }
    if (ec || (count && !count(size))) {
      pair.cut();
      co_return false;
    }
    auto written = co_await net::async_write(to, net::buffer(memory.get(), size), as_values);
    if (std::get<0>(written)) {
      // Its answer may be on its way to us; the other direction reads it to the end, and breaks then.
      pair.broken = true;
      co_return false;
    }
  }
}

} // namespace

io_task<void> move_one_way(std::shared_ptr<relayed> pair, bool out) {
  auto& from = out ? pair->near : pair->far;
  while (!pair->ended) {
    auto ready = co_await from.async_wait(net::socket_base::wait_read, as_values);
    if (std::get<0>(ready))
      co_return; // cut
    auto more = co_await move_some(*pair, out);
    if (!more)
      co_return;
  }
}

relayed::relayed(socket accepted)
    : near(std::move(accepted))
    , far(near.get_executor()) {}

void relayed::cut() noexcept {
  ended = true;
  reset(near);
  reset(far);
}

void prepare(relayed& pair) {
  for (auto* side : {&pair.near, &pair.far}) {
    boost::system::error_code ignored; // a relay that waits to fill a packet is slow, not wrong
    side->set_option(net::ip::tcp::no_delay{true}, ignored);
    side->non_blocking(true, ignored);
    watch_peer(side->native_handle()); // a peer that vanished must not hold its place for ever
  }
}

io_task<void> move_bytes(std::shared_ptr<relayed> pair) {
  using net::experimental::awaitable_operators::operator&&;
  prepare(*pair);
  auto there = move_one_way(pair, true);
  auto back = move_one_way(pair, false);
  co_await (std::move(there) && std::move(back));
  if (pair->broken)
    pair->cut();
}

} // namespace sandy::http::relay
