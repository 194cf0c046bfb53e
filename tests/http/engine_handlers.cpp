#include "http/engine_support.hpp"

#include "http/connection.hpp"
#include "http/sse.hpp"
#include "http/websocket.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <nlohmann/json.hpp>

#include <stdexcept>

namespace sandy::tests {

namespace net = boost::asio;
using http::exchange;
using timer = net::basic_waitable_timer<std::chrono::steady_clock,
                                        net::wait_traits<std::chrono::steady_clock>, io_executor>;

namespace {

struct presence {
  presence() { ++trace().entered; }
  ~presence() { ++trace().ended; }
};

io_task<void> until_released() {
  auto executor = co_await net::this_coro::executor;
  timer pause{executor};
  while (!trace().release) {
    pause.expires_after(1ms);
    co_await pause.async_wait(net::use_awaitable_t<io_executor>{});
  }
}

io_task<void> tiny(exchange& ex) { return ex.reply_bytes(200, "application/json", R"({"ok":true})", {}); }

io_task<void> whoami(exchange& ex) {
  nlohmann::json body{{"tenant", ex.caller().tenant.value},
                      {"sandbox", ex.caller().sandbox.value},
                      {"inside", ex.inside().sandbox.value},
                      {"path", ex.path()},
                      {"id", ex.param("id")},
                      {"missing", ex.param("missing")},
                      {"q", ex.query("q").value_or("(none)")},
                      {"agent", ex.header("uSeR-aGeNt")},
                      {"request_id", ex.request_id()}};
  co_await ex.reply(200, body, {{"X-Extra", "one\r\nX-Injected: two"}});
}

io_task<void> echo(exchange& ex) {
  presence here;
  auto body = co_await ex.read_body(1024 * 1024);
  if (!body)
    co_await ex.reply_error(body.error());
  else
    co_await ex.reply_bytes(200, "application/octet-stream", std::move(*body), {});
}

io_task<void> count(exchange& ex) {
  std::uint64_t total = 0;
  for (;;) {
    auto piece = co_await ex.read_some();
    if (!piece)
      co_return co_await ex.reply_error(piece.error());
    if (piece->empty())
      break;
    total += piece->size();
  }
  co_await ex.reply(200, {{"bytes", total}, {"announced", ex.content_length().value_or(0)}}, {});
}

io_task<void> events(exchange& ex) {
  auto begun = co_await ex.begin_stream(200, http::event_stream_type, std::nullopt, {});
  for (int i = 0; begun && i < 3; ++i) {
    std::string text;
    http::append_event(text, {"tick", "{\"n\":" + std::to_string(i) + "}", std::to_string(i)});
    begun = co_await ex.write(text);
  }
  co_await ex.end_stream();
}

io_task<void> sized(exchange& ex) {
  auto begun = co_await ex.begin_stream(200, "text/plain", 10, {});
  if (begun)
    begun = co_await ex.write("01234");
  if (begun)
    begun = co_await ex.write("56789");
  if (begun)
    co_await ex.end_stream();
}

io_task<void> cut(exchange& ex) {
  std::optional<std::uint64_t> length;
  if (ex.query("sized"))
    length = 10;
  auto begun = co_await ex.begin_stream(200, "text/plain", length, {});
  if (begun)
    begun = co_await ex.write("begun");
  if (ex.query("throw"))
    throw std::runtime_error("in the middle");
  if (ex.query("end"))
    co_await ex.end_stream();
}

io_task<void> throws(exchange&) {
  throw std::runtime_error("a bug");
  co_return;
}

io_task<void> silent(exchange&) { co_return; }

io_task<void> wait(exchange& ex) {
  presence here;
  co_await until_released();
  co_await ex.reply(200, {{"waited", true}}, {});
}

/// Has its body in memory while it waits.
io_task<void> wait_with_body(exchange& ex) {
  auto body = co_await ex.read_body(1024 * 1024);
  if (!body)
    co_return co_await ex.reply_error(body.error());
  co_await wait(ex);
}

io_task<void> hang_up(exchange& ex) {
  presence here;
  co_await ex.hang_up();
  ++trace().hang_ups;
  co_await ex.reply(200, {{"hung_up", true}}, {});
}

io_task<void> either(exchange& ex) {
  using namespace net::experimental::awaitable_operators;
  presence here;
  auto first = co_await (until_released() || ex.hang_up());
  if (first.index() == 1)
    ++trace().hang_ups;
  co_await ex.reply(200, {{"first", first.index() == 0 ? "work" : "hang_up"}}, {});
}

io_task<void> flood(exchange& ex) {
  presence here;
  const std::string block(256 * 1024, 'x');
  auto written = co_await ex.begin_stream(200, "application/octet-stream", std::nullopt, {});
  for (int i = 0; written && i < 512; ++i) {
    written = co_await ex.write(block);
    if (written)
      trace().written += block.size();
  }
  co_await ex.end_stream();
}

io_task<void> fails(exchange& ex) {
  auto wanted = ex.param("code");
  for (int code = 1; code <= static_cast<int>(errc::last_); ++code)
    if (to_string(static_cast<errc>(code)) == wanted)
      co_return co_await ex.reply_error(fail(static_cast<errc>(code), "as asked"));
}

io_task<void> twice(exchange& ex) {
  co_await ex.reply(200, {{"answer", 1}}, {});
  co_await ex.reply(200, {{"answer", 2}}, {});
}

/// Gives back what comes, until the client ends its side.
io_task<void> tunnel(exchange& ex) {
  presence here;
  auto& client = ex.take_over();
  auto status = co_await client.send({"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n\r\n"}, 1s);
  while (status == http::io_status::ok) {
    if (!client.buffer().empty()) {
      std::string piece{client.buffer().data()};
      client.buffer().consume(piece.size());
      status = co_await client.send({piece}, 1s);
      if (status != http::io_status::ok)
        co_return;
    }
    status = client.receive(1024);
    if (status == http::io_status::would_block)
      status = co_await client.wait_readable(0ms);
  }
}

/// The same, in the messages of a WebSocket.
io_task<void> websocket(exchange& ex) {
  namespace beast = boost::beast;
  presence here;
  constexpr auto as_values = net::as_tuple(net::use_awaitable_t<io_executor>{});
  beast::http::request<beast::http::empty_body> request{beast::http::verb::get, "/", 11};
  for (const char* name : {"Host", "Connection", "Upgrade", "Sec-WebSocket-Key", "Sec-WebSocket-Version"}) {
    auto value = ex.header(name);
    request.set(name, boost::beast::string_view{value.data(), value.size()});
  }
  http::websocket socket{ex.take_over()};
  auto accepted = co_await socket.async_accept(request, as_values);
  for (auto ec = std::get<0>(accepted); !ec;) {
    beast::flat_buffer message;
    auto read = co_await socket.async_read(message, as_values);
    ec = std::get<0>(read);
    if (ec)
      co_return;
    auto written = co_await socket.async_write(message.data(), as_values);
    ec = std::get<0>(written);
  }
}

} // namespace

std::vector<http::route> test_routes() {
  return http::with_alias(
      {
          {"GET", "/tiny", tiny, true},           {"GET", "/api/things/{id}", whoami},
          {"GET", "/api/things/special", tiny},   {"DELETE", "/api/things/{id}", tiny},
          {"POST", "/echo", echo, true},          {"POST", "/count", count, true},
          {"POST", "/ignore", tiny, true},        {"GET", "/events", events, true},
          {"GET", "/sized", sized, true},         {"GET", "/cut", cut, true},
          {"GET", "/throws", throws, true},       {"GET", "/silent", silent, true},
          {"GET", "/wait", wait, true},           {"POST", "/wait", wait_with_body, true},
          {"GET", "/hang_up", hang_up, true},     {"GET", "/either", either, true},
          {"GET", "/flood", flood, true},         {"GET", "/fails/{code}", fails, true},
          {"GET", "/twice", twice, true},         {"GET", "/tunnel", tunnel, true},
          {"GET", "/websocket", websocket, true},
      },
      "/api", "/things");
}

} // namespace sandy::tests
