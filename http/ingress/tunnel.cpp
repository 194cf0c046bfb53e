#include "http/ingress/tunnel.hpp"

#include "http/context.hpp"
#include "http/watch_peer.hpp"
#include "metrics/registry.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

namespace sandy::http::ingress {

namespace {

constexpr std::size_t piece_bytes = 64 * 1024;
// Until a side that takes nothing is given up. One that is only asleep comes back before.
constexpr std::chrono::milliseconds stall_timeout{300'000};
// One side has ended: the other may go on, but not in silence for ever.
constexpr std::chrono::milliseconds half_closed_timeout{300'000};
// Both sides have this time to take the end, when the server stops; see `server::stop`.
constexpr std::chrono::milliseconds farewell{250};

/// Both connections of a tunnel.
struct tunnel_state {
  tunnel_state(shard& home, metrics::ingress_metrics& counting, connection& client, connection& application)
      : sides{&client, &application}
      , counts(counting)
      , half_closed(*home.wheel, [](void* self) { static_cast<tunnel_state*>(self)->cut(); }, this) {
    counts.tunnel_opened();
  }
  tunnel_state(const tunnel_state&) = delete;
  tunnel_state& operator=(const tunnel_state&) = delete;
  ~tunnel_state() { counts.tunnel_closed(); }

  void cut() noexcept {
    if (leaving)
      return;
    for (auto* side : sides)
      side->abort();
  }

  connection* sides[2]; ///< the client first
  metrics::ingress_metrics& counts;
  bool one_ended = false;
  bool leaving = false; ///< the server stops, and ends both properly
  deadline half_closed;
};

io_task<void> move_all(tunnel_state& state, connection& from, connection& to) {
  for (;;) {
    if (!from.buffer().empty()) {
      auto sent = co_await to.send({from.buffer().data()}, stall_timeout);
      if (sent != io_status::ok)
        co_return state.cut();
      if (&from == state.sides[0])
        state.counts.bytes_in(from.buffer().size());
      else
        state.counts.bytes_out(from.buffer().size());
      from.buffer().consume(from.buffer().size());
      if (state.one_ended)
        state.half_closed.set(half_closed_timeout);
    }
    auto status = from.receive(piece_bytes);
    if (status == io_status::would_block)
      status = co_await from.wait_readable(std::chrono::milliseconds{0});
    if (status == io_status::ok)
      continue;
    if (!from.ended())
      co_return state.cut();
    auto told = co_await to.shutdown_send(stall_timeout);
    if (told != io_status::ok)
      co_return state.cut();
    state.one_ended = true;
    state.half_closed.set(half_closed_timeout);
    co_return;
  }
}

io_task<void> leave_in_time(tunnel_state& state, occasion& grace_over) {
  co_await grace_over.wait();
  state.leaving = grace_over.came();
}

} // namespace

io_task<void> tunnel(exchange& ex, connection& client, connection& application, std::string_view greeting) {
  using namespace boost::asio::experimental::awaitable_operators;
  tunnel_state state{ex.home(), ex.server().metrics.ingress(), client, application};
  for (auto* side : state.sides)
    watch_peer(side->raw().native_handle());
  auto greeted = co_await client.send({greeting}, stall_timeout);
  if (greeted != io_status::ok)
    co_return state.cut();
  auto there = move_all(state, client, application);
  auto back = move_all(state, application, client);
  auto moving = std::move(there) && std::move(back);
  auto first = co_await (std::move(moving) || leave_in_time(state, ex.home().grace_over));
  if (first.index() == 0)
    co_return;
  auto one = client.close_gently(farewell);
  auto other = application.close_gently(farewell);
  co_await (std::move(one) && std::move(other));
}

} // namespace sandy::http::ingress
