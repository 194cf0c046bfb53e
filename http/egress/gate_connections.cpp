#include "http/egress/first_bytes.hpp"
#include "http/egress/gate.hpp"
#include "http/egress/request_rewriter.hpp"
#include "http/errors.hpp"
#include "metrics/network_metrics.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

namespace sandy::http::egress {

// What happens to one connection: it is judged, by its address, then by what is said on it, and passed on.

namespace net = boost::asio;
using net::experimental::awaitable_operators::operator&&;
using net::experimental::awaitable_operators::operator||;
using net::ip::tcp;

namespace {

constexpr auto as_values = net::as_tuple(net::use_awaitable_t<io_executor>{});
using io_timer = net::basic_waitable_timer<std::chrono::steady_clock,
                                           net::wait_traits<std::chrono::steady_clock>, io_executor>;

constexpr std::chrono::seconds connect_timeout{10};
/// A client that says nothing for so long waits for its server to begin.
constexpr std::chrono::milliseconds silence{1'500};
/// From its first byte on, until it said what it wants.
constexpr std::chrono::seconds introduction{10};
/// A client that is refused and reads nothing.
constexpr std::chrono::seconds farewell{1};
constexpr std::uint16_t name_port = 53;
/// What a connection to the world may have on its way: with less, distance makes it slow; more is memory that
/// a reader who stops holds.
constexpr int window_bytes = 1024 * 1024;

constexpr std::string_view tls_access_denied{"\x15\x03\x01\x00\x02\x02\x31", 7};
constexpr std::string_view tls_unrecognized_name{"\x15\x03\x01\x00\x02\x02\x70", 7};

std::string in_words(const destination& to, const std::optional<std::string>& name) {
  auto address = to_string(to.address);
  auto place = (is_ipv4(to.address) ? address : "[" + address + "]") + ":" + std::to_string(to.port);
  return name ? *name + " (" + place + ")" : place;
}

/// Reads until it is clear what is spoken, or nothing comes for `patience`.
io_task<first_words> listen(std::shared_ptr<outgoing> conn, std::string& begun,
                            std::chrono::milliseconds patience) {
  std::array<char, 4096> memory{};
  io_timer timer{conn->near.get_executor()};
  first_words words;
  while (!words.whole && !conn->ended) {
    timer.expires_after(begun.empty() ? patience : introduction);
    auto first =
        co_await (conn->near.async_read_some(net::buffer(memory), as_values) || timer.async_wait(as_values));
    if (first.index() == 1)
      co_return words;
    auto& [ec, size] = std::get<0>(first);
    if (ec) {
      words.broken = !begun.empty();
      words.whole = true;
      co_return words;
    }
    begun.append(memory.data(), size);
    words = read_first_bytes(begun);
  }
  co_return words;
}

io_task<void> say(std::shared_ptr<outgoing> conn, std::string text) {
  io_timer timer{conn->near.get_executor(), farewell};
  co_await (net::async_write(conn->near, net::buffer(text), as_values) || timer.async_wait(as_values));
  boost::system::error_code ec;
  conn->near.shutdown(net::socket_base::shutdown_send, ec);
  // Closing with bytes unread would reset the connection, and the answer might be lost.
  std::array<char, 4096> unread{};
  for (;;) {
    auto more =
        co_await (conn->near.async_read_some(net::buffer(unread), as_values) || timer.async_wait(as_values));
    if (more.index() == 1 || std::get<0>(std::get<0>(more)))
      co_return;
  }
}

std::string refusal_page(refusal why, const std::string& where) {
  auto body = error_body(fail(errc::forbidden, std::string{sentence(why)} + ": " + where));
  return "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nX-Sandy-Refused: " +
         std::string{to_string(why)} + "\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\nConnection: close\r\n\r\n" + body;
}

} // namespace

io_task<void> gate::serve(std::shared_ptr<gate> self, connection conn) {
  conn->sent = [self](std::size_t bytes) { return self->count(true, bytes); };
  conn->received = [self](std::size_t bytes) { return self->count(false, bytes); };
  if (conn->to.port == name_port)
    co_await self->serve_questions(conn);
  else if (conn->to.address == to_network(net::ip::address_v4{platform_address}))
    co_await self->serve_platform(conn);
  else
    co_await self->serve_world(conn);
  conn->cut();
  conn->unlink();
  conn->sent = conn->received = nullptr; // they hold us
  --self->open_count_;
  --self->open_now_;
  --self->around_->open;
  self->around_->numbers.closed();
}

io_task<void> gate::serve_platform(connection conn) {
  conn->to_platform = true;
  if (!still_allowed(*conn) || !around_->platform || conn->to.port != platform_port) {
    co_await refuse(conn, refusal::mode, {});
    co_return;
  }
  auto reached = co_await reach(conn, *around_->platform);
  if (!reached)
    co_return;
  let_through(*conn);
  co_await relay::move_bytes(conn);
}

refusal gate::judge_first(const outgoing& conn) const {
  if (policy_.mode() != network_mode::internet)
    return refusal::mode;
  if (spent_)
    return refusal::bytes;
  if (!around_->reachable.may_reach(conn.to.address, conn.to.port))
    return refusal::address;
  return policy_.judge_address(conn.to);
}

io_task<void> gate::serve_world(connection conn) {
  if (auto why = judge_first(*conn); why != refusal::none) {
    co_await refuse(conn, why, {});
    co_return;
  }
  const auto by_name = policy_.has_names() && !policy_.allows_address(conn->to);
  std::string begun;
  first_words words;
  conn->inspected = by_name;
  if (by_name) {
    words = co_await listen(conn, begun, silence);
    if (conn->ended)
      co_return;
    conn->name = words.name;
    const auto unclear = words.broken || (!words.whole && !begun.empty()) ||
                         (words.what == spoken::http && !words.name); // it names an address
    auto why = unclear ? refusal::protocol : refusal::none;
    if (why == refusal::none)
      why = co_await judge_named(*conn);
    if (why != refusal::none) {
      co_await refuse(conn, why, std::move(begun));
      co_return;
    }
  }
  auto reached = co_await reach(conn, {to_asio(conn->to.address), conn->to.port});
  if (!reached)
    co_return;
  // The policy may be another one by now.
  if (judge_first(*conn) != refusal::none || !still_allowed(*conn)) {
    co_await refuse(conn, refusal::denied, std::move(begun));
    co_return;
  }
  let_through(*conn);
  if (!by_name)
    co_await relay::move_bytes(conn);
  else if (!words.whole && begun.empty())
    co_await pass_on_silent(conn);
  else
    co_await pass_on_inspected(conn, std::move(begun), words.what == spoken::http);
}

/// The answer of the lists to what the connection says it is for.
io_task<refusal> gate::judge_named(const outgoing& conn) {
  const auto to = conn.to;
  const auto name = conn.name;
  auto why = policy_.judge(to, name, known_.names_of(to.address, std::chrono::steady_clock::now()));
  if (why == refusal::none && name) {
    auto true_name = co_await belongs(*name, to.address);
    if (!true_name)
      why = refusal::wrong_host;
  }
  co_return why;
}

/// Whether DNS gives that address for that name.
io_task<bool> gate::belongs(std::string name, network_address address) {
  if (known_.has(address, name, std::chrono::steady_clock::now()))
    co_return true;
  auto answer = co_await look_up(name, is_ipv4(address));
  co_return std::any_of(answer.addresses.begin(), answer.addresses.end(),
                        [&](const auto& each) { return each.value == address; });
}

bool gate::still_allowed(const outgoing& conn) const {
  if (conn.to_platform)
    return policy_.mode() >= network_mode::platform;
  if (judge_first(conn) != refusal::none)
    return false;
  if (policy_.has_names() && !conn.inspected && !policy_.allows_address(conn.to))
    return false; // nobody knows what it is for
  return policy_.judge(conn.to, conn.name,
                       known_.names_of(conn.to.address, std::chrono::steady_clock::now())) == refusal::none;
}

void gate::let_through(outgoing& conn) {
  conn.judged = true;
  ++let_through_;
  around_->numbers.connection(refusal::none);
}

io_task<bool> gate::reach(connection conn, tcp::endpoint to) {
  boost::system::error_code ec;
  conn->far.open(to.protocol(), ec);
  if (ec)
    co_return false;
  auto socket = conn->far.native_handle();
  ::setsockopt(socket, IPPROTO_TCP, TCP_WINDOW_CLAMP, &window_bytes, sizeof window_bytes); // wishes, both
  ::setsockopt(socket, SOL_SOCKET, SO_SNDBUFFORCE, &window_bytes, sizeof window_bytes);
  io_timer timer{conn->far.get_executor(), connect_timeout};
  auto first = co_await (conn->far.async_connect(to, as_values) || timer.async_wait(as_values));
  co_return first.index() == 0 && !std::get<0>(std::get<0>(first)) && !conn->ended;
}

/// After what was looked at: of HTTP every request is, to its last, and must be for the same host.
io_task<void> gate::pass_on_inspected(connection conn, std::string begun, bool http) {
  relay::prepare(*conn);
  auto back = relay::move_one_way(conn, false);
  auto plain = [](connection pair, std::string first) -> io_task<void> {
    if (!pair->sent(first.size()))
      co_return pair->cut();
    auto written = co_await net::async_write(pair->far, net::buffer(first), as_values);
    if (std::get<0>(written))
      pair->broken = true;
    else
      co_await relay::move_one_way(pair, true);
  };
  auto requests = [](connection pair, std::string first) -> io_task<void> {
    const replacements nothing;
    request_rewriter checked{*pair->name, pair->to.port, false, nothing};
    std::string out, in = std::move(first);
    std::array<char, 16 * 1024> memory;
    while (!pair->ended) {
      out.clear();
      auto good = checked.feed(in, out);
      if (!out.empty()) {
        if (!pair->sent(out.size()))
          co_return pair->cut();
        auto written = co_await net::async_write(pair->far, net::buffer(out), as_values);
        if (std::get<0>(written)) {
          pair->broken = true;
          co_return;
        }
      }
      if (!good) {
        if (checked.requests() == 0)
          co_await say(pair, refusal_page(refusal::wrong_host, text_of(good.error())));
        co_return pair->cut();
      }
      auto [ec, size] = co_await pair->near.async_read_some(net::buffer(memory), as_values);
      if (ec == net::error::eof) {
        boost::system::error_code ignored;
        pair->far.shutdown(net::socket_base::shutdown_send, ignored);
        co_return;
      }
      if (ec)
        co_return pair->cut();
      in.assign(memory.data(), size);
    }
  };
  auto there = http ? requests(conn, std::move(begun)) : plain(conn, std::move(begun));
  co_await (std::move(there) && std::move(back));
}

/// The server begins. What its client says then is looked at nevertheless: by now it must not be a protocol
/// that names a host.
io_task<void> gate::pass_on_silent(connection conn) {
  relay::prepare(*conn);
  auto back = relay::move_one_way(conn, false);
  auto there = [](connection pair) -> io_task<void> {
    std::string begun;
    auto words = co_await listen(pair, begun, std::chrono::hours{24});
    if (!words.whole || words.what == spoken::tls || words.what == spoken::http || !pair->sent(begun.size()))
      co_return pair->cut();
    auto written = co_await net::async_write(pair->far, net::buffer(begun), as_values);
    if (!std::get<0>(written))
      co_await relay::move_one_way(pair, true);
  }(conn);
  co_await (std::move(there) && std::move(back));
}

/// Says no in the connection's own language.
io_task<void> gate::refuse(connection conn, refusal why, std::string begun) {
  const auto where = in_words(conn->to, conn->name);
  ++refused_;
  around_->numbers.connection(why);
  log_refusal("egress_refused", why, where);
  auto words = read_first_bytes(begun);
  if (begun.empty())
    words = co_await listen(conn, begun, farewell);
  if (conn->ended)
    co_return;
  if (words.what == spoken::http)
    co_await say(conn, refusal_page(why, where));
  else if (words.what == spoken::tls)
    co_await say(conn, std::string{conn->name && why != refusal::wrong_host ? tls_unrecognized_name
                                                                            : tls_access_denied});
  conn->cut();
}

} // namespace sandy::http::egress
