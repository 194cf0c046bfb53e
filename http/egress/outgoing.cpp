#include "http/egress/outgoing.hpp"

#include "http/egress/request_rewriter.hpp"
#include "http/errors.hpp"
#include "http/timed.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>

#include <sys/socket.h>

#include <array>

namespace sandy::http::egress {

namespace net = boost::asio;
using net::experimental::awaitable_operators::operator&&;
using net::experimental::awaitable_operators::operator||;

namespace {

/// A client that is refused and reads nothing.
constexpr std::chrono::seconds farewell{1};
/// For a host to say whether it agrees to another protocol.
constexpr std::chrono::seconds agreement{30};

/// @returns false when it is over
io_task<bool> send_on(std::shared_ptr<outgoing> conn, std::string text) {
  if (text.empty())
    co_return !conn->ended;
  if (!conn->sent(text.size())) {
    conn->cut();
    co_return false;
  }
  auto written = co_await net::async_write(conn->far, net::buffer(text), as_values);
  if (std::get<0>(written))
    conn->broken = true;
  co_return !conn->broken && !conn->ended;
}

/// The sandbox says no more on this connection, or nothing that is passed on.
io_task<void> nothing_more(std::shared_ptr<outgoing> conn) {
  boost::system::error_code ignored; // gone is gone
  conn->far.shutdown(net::socket_base::shutdown_send, ignored);
  co_return;
}

/// Whether the answer that comes next, and stays to be read, agrees to another protocol.
io_task<bool> switches_protocol(std::shared_ptr<outgoing> conn) {
  using low_watermark = net::socket_base::receive_low_watermark;
  constexpr std::string_view agreed = "HTTP/1.1 101";
  boost::system::error_code ignored;
  // Woken by the whole of it, or by the end of what comes: less is no agreement.
  conn->far.set_option(low_watermark{static_cast<int>(agreed.size())}, ignored);
  auto ready = co_await conn->far.async_wait(net::socket_base::wait_read, as_values);
  std::array<char, agreed.size()> begin{};
  if (std::get<0>(ready) || conn->ended)
    co_return false;
  auto size = ::recv(conn->far.native_handle(), begin.data(), begin.size(), MSG_PEEK | MSG_DONTWAIT);
  conn->far.set_option(low_watermark{1}, ignored);
  co_return size > 0 && std::string_view{begin.data(), static_cast<std::size_t>(size)} == agreed;
}

/// After the first request, which asked for a WebSocket. The client has to wait for the answer: what it says
/// before is a request for anybody, if the host should not agree.
io_task<void> pass_on_websocket(std::shared_ptr<outgoing> conn) {
  io_timer timer{conn->near.get_executor(), agreement};
  auto answered = switches_protocol(conn);
  auto spoke = conn->near.async_wait(net::socket_base::wait_read, as_values); // or left
  auto first = co_await (std::move(answered) || std::move(spoke) || timer.async_wait(as_values));
  if (first.index() != 0)
    co_return conn->cut();
  auto there = std::get<0>(first) ? relay::move_one_way(conn, true) : nothing_more(conn);
  auto back = relay::move_one_way(conn, false);
  co_await (std::move(there) && std::move(back));
}

/// Later requests, up to the first that is not for the host.
io_task<void> pass_on_more(std::shared_ptr<outgoing> conn, std::shared_ptr<request_rewriter> requests) {
  std::array<char, 16 * 1024> memory;
  while (!conn->ended) {
    auto [ec, size] = co_await conn->near.async_read_some(net::buffer(memory), as_values);
    if (ec == net::error::eof)
      co_return co_await nothing_more(conn);
    std::string text;
    auto fine = !ec && requests->feed({memory.data(), size}, text);
    auto passed = co_await send_on(conn, std::move(text));
    // Answers may be on their way: nobody could tell ours from them.
    if (!fine)
      co_return conn->cut();
    if (!passed)
      co_return;
  }
}

} // namespace

io_task<first_words> listen(std::shared_ptr<outgoing> conn, std::string& begun,
                            std::chrono::milliseconds patience, std::chrono::milliseconds introduction) {
  std::array<char, 4096> memory{};
  io_timer timer{conn->near.get_executor(), patience};
  first_words words;
  boost::system::error_code ec;
  conn->near.non_blocking(true, ec);
  while (!words.whole && !conn->ended) {
    // Waits only: what a read took in the moment in which the time is over would be missing later.
    auto ready = co_await within(timer, conn->near.async_wait(net::socket_base::wait_read, as_values));
    if (!ready)
      co_return words;
    ec = std::get<0>(*ready);
    auto size = ec ? 0 : conn->near.read_some(net::buffer(memory), ec);
    if (ec == net::error::would_block)
      continue;
    if (ec) {
      words.broken = !begun.empty();
      words.whole = true;
      co_return words;
    }
    if (begun.empty())
      timer.expires_after(introduction); // for all of it: a byte now and then does not win time
    begun.append(memory.data(), size);
    words = read_first_bytes(begun);
  }
  co_return words;
}

io_task<void> say(std::shared_ptr<outgoing> conn, std::string text) {
  io_timer timer{conn->near.get_executor(), farewell};
  co_await within(timer, net::async_write(conn->near, net::buffer(text), as_values));
  boost::system::error_code ec;
  conn->near.shutdown(net::socket_base::shutdown_send, ec);
  // Closing with bytes unread would reset the connection, and the answer might be lost.
  std::array<char, 4096> unread{};
  for (;;) {
    auto more = co_await within(timer, conn->near.async_read_some(net::buffer(unread), as_values));
    if (!more || std::get<0>(*more))
      co_return;
  }
}

std::string refusal_page(refusal why, const std::string& where) {
  auto body = error_body(fail(errc::forbidden, std::string{sentence(why)} + ": " + where));
  return "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nX-Sandy-Refused: " +
         std::string{to_string(why)} + "\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\nConnection: close\r\n\r\n" + body;
}

io_task<void> pass_on_begun(std::shared_ptr<outgoing> conn, std::string begun) {
  relay::prepare(*conn);
  auto there = [](std::shared_ptr<outgoing> pair, std::string first) -> io_task<void> {
    auto sent = co_await send_on(pair, std::move(first));
    if (sent)
      co_await relay::move_one_way(pair, true);
  }(conn, std::move(begun));
  auto back = relay::move_one_way(conn, false);
  co_await (std::move(there) && std::move(back));
}

io_task<void> pass_on_requests(std::shared_ptr<outgoing> conn, std::string begun) {
  static const replacements nothing; // nothing is put into these requests
  relay::prepare(*conn);
  auto checked = std::make_shared<request_rewriter>(*conn->name, conn->to.port, false, nothing);
  std::string out;
  auto good = checked->feed(begun, out);
  auto sent = co_await send_on(conn, std::move(out));
  if (!sent)
    co_return;
  if (!good) {
    if (checked->requests() == 0)
      co_await say(conn, refusal_page(refusal::wrong_host, text_of(good.error())));
    co_return conn->cut();
  }
  if (checked->raw())
    co_return co_await pass_on_websocket(conn);
  auto there = pass_on_more(conn, checked);
  auto back = relay::move_one_way(conn, false);
  co_await (std::move(there) && std::move(back));
}

io_task<void> pass_on_silent(std::shared_ptr<outgoing> conn) {
  relay::prepare(*conn);
  auto back = relay::move_one_way(conn, false);
  auto there = [](std::shared_ptr<outgoing> pair) -> io_task<void> {
    std::string begun;
    auto words = co_await listen(pair, begun, std::chrono::hours{24}, std::chrono::seconds{10});
    if (!words.whole || words.what == spoken::tls || words.what == spoken::http)
      co_return pair->cut();
    auto sent = co_await send_on(pair, std::move(begun));
    if (sent)
      co_await relay::move_one_way(pair, true);
  }(conn);
  co_await (std::move(there) && std::move(back));
}

} // namespace sandy::http::egress
