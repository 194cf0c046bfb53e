#include "http/websocket.hpp"

#include "http/auth.hpp"
#include "http/context.hpp"
#include "http/errors.hpp"

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/websocket/rfc6455.hpp>

#include <algorithm>

namespace sandy::http {

namespace beast_http = boost::beast::http;
namespace beast_ws = boost::beast::websocket;

namespace {

using handshake = beast_http::request<beast_http::empty_body>;

/// The request again, as Beast wants it.
handshake handshake_of(const exchange& ex) {
  handshake request{beast_http::verb::get, "/", 11};
  for (const char* name : {"Host", "Connection", "Upgrade", "Sec-WebSocket-Key", "Sec-WebSocket-Version"}) {
    auto value = ex.header(name);
    request.set(name, boost::beast::string_view{value.data(), value.size()});
  }
  return request;
}

io_task<void> require_upgrade(exchange& ex) {
  auto body = error_body(fail(errc::invalid_argument, "This address takes WebSockets of version 13 only"));
  co_await ex.reply_bytes(426, "application/json", std::move(body),
                          {{"Upgrade", "websocket"}, {"Sec-WebSocket-Version", "13"}});
}

} // namespace

bool origin_allowed(std::string_view origin, const std::vector<std::string>& allowed, std::string_view host) {
  if (origin.empty() || allowed.empty() || std::ranges::find(allowed, origin) != allowed.end())
    return true;
  auto scheme_end = origin.find("://");
  return scheme_end != std::string_view::npos && !host.empty() && origin.substr(scheme_end + 3) == host;
}

io_task<bool> refuse_upgrade(exchange& ex) {
  auto request = handshake_of(ex);
  if (!beast_ws::is_upgrade(request) || ex.header("Sec-WebSocket-Version") != "13") {
    co_await require_upgrade(ex);
    co_return true;
  }
  if (ex.header("Sec-WebSocket-Key").empty()) {
    co_await ex.reply_error(fail(errc::invalid_argument, "The WebSocket handshake has no key"));
    co_return true;
  }
  if (!origin_allowed(ex.header("Origin"), ex.server().cors_origins, ex.header("Host"))) {
    co_await ex.reply_error(fail(errc::forbidden, "Pages of this origin may not call this server"));
    co_return true;
  }
  co_return false;
}

io_task<result<void>> accept_upgrade(exchange& ex, websocket& socket, connection& taken,
                                     std::string_view subprotocol) {
  // A client that speaks before it knows that it is understood is none that we know.
  if (!taken.buffer().empty()) {
    taken.abort();
    co_return fail(errc::cancelled, "The client sent more than its handshake");
  }
  auto offered = offered_subprotocols(ex.header("Sec-WebSocket-Protocol"));
  auto agreed = std::ranges::find(offered, subprotocol) != offered.end();
  std::string request_id{ex.request_id()};
  socket.set_option(beast_ws::stream_base::decorator([&](beast_ws::response_type& answer) {
    answer.set("X-Request-Id", request_id);
    if (agreed)
      answer.set(beast_http::field::sec_websocket_protocol,
                 boost::beast::string_view{subprotocol.data(), subprotocol.size()});
  }));
  auto request = handshake_of(ex);
  auto accepted = co_await socket.async_accept(request, as_values);
  // What it refers to ends here.
  socket.set_option(beast_ws::stream_base::decorator([](beast_ws::response_type&) {}));
  if (std::get<0>(accepted))
    co_return fail(errc::cancelled, "The client is gone");
  co_return caf::unit;
}

} // namespace sandy::http
