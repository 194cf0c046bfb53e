#include "http/health_check.hpp"

#include "http/timed.hpp"

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>

#include <string>

namespace sandy::http {

namespace net = boost::asio;
using net::ip::tcp;

namespace {

/// More is no head of an honest answer.
constexpr std::uint32_t most_head_bytes = 16 * 1024;

caf::error nobody(const char* why) { return fail(errc::upstream_error, why); }

result<void> usable(const runtime::entrance& to) {
  switch (to.state) {
  case runtime::entrance_state::open:
    return caf::unit;
  case runtime::entrance_state::gone:
    return fail(errc::sandbox_not_found, "Sandbox not found");
  default:
    return fail(errc::sandbox_paused, "The sandbox stands still");
  }
}

} // namespace

io_task<result<void>> check_health(std::shared_ptr<const runtime::entrance> to, std::uint16_t port) {
  if (auto allowed = usable(*to); !allowed)
    co_return allowed;
  auto opened = co_await to->sockets(AF_INET);
  if (!opened)
    co_return std::move(opened.error());
  auto executor = co_await net::this_coro::executor;
  net::basic_stream_socket<tcp, io_executor> socket{executor};
  boost::system::error_code ec;
  socket.assign(tcp::v4(), opened->get(), ec);
  if (ec)
    co_return fail(errc::internal, "The connection into the sandbox cannot be used: " + ec.message());
  [[maybe_unused]] auto owned_by_the_socket = opened->release();
  tcp::endpoint place{net::ip::address_v4::loopback(), port};
  auto [not_connected] = co_await socket.async_connect(place, as_values);
  if (not_connected)
    co_return nobody("nothing listens");
  auto request = "GET /health HTTP/1.1\r\nHost: localhost:" + std::to_string(port) +
                 "\r\nAccept: */*\r\nConnection: close\r\n\r\n";
  auto [not_sent, sent] = co_await net::async_write(socket, net::buffer(request), as_values);
  if (not_sent)
    co_return nobody("it closes the connection");
  boost::beast::flat_buffer buffer{most_head_bytes};
  boost::beast::http::response_parser<boost::beast::http::empty_body> parser;
  parser.header_limit(most_head_bytes);
  auto [not_read, read] = co_await boost::beast::http::async_read_header(socket, buffer, parser, as_values);
  if (not_read)
    co_return nobody("it does not answer in HTTP");
  auto status = parser.get().result_int();
  if (status != 200)
    co_return fail(errc::upstream_error, "the answer has status " + std::to_string(status));
  co_return caf::unit;
}

} // namespace sandy::http
