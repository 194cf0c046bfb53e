#include "app/cli/api_client.hpp"

#include "app/cli/interrupt.hpp"
#include "sandy_version.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <array>
#include <limits>
#include <utility>

namespace sandy::cli {

namespace {

namespace http = boost::beast::http;
using boost::asio::ip::tcp;
using boost::system::error_code;

constexpr std::size_t piece_bytes = 64 * 1024;
/// Answers that are kept whole: lists, descriptions, errors.
constexpr std::size_t whole_answer_bytes = 256 * 1024 * 1024;

caf::error failure(std::string what) {
  if (interrupted())
    return fail(errc::cancelled, "interrupted");
  return fail(errc::upstream_error, std::move(what));
}

/// One request and its answer on a connection of its own.
class exchange {
public:
  exchange(const base_url& where, const std::string& key)
      : where_(where)
      , key_(key) {}

  result<void> connect() {
    error_code failed;
    tcp::resolver resolver(context_);
    auto found = resolver.resolve(where_.host, where_.port, failed);
    if (!failed)
      boost::asio::connect(socket_, found, failed);
    if (failed || interrupted())
      return failure("Cannot reach " + where_.host + ":" + where_.port + ": " + failed.message());
    watch_.emplace(socket_.native_handle());
    socket_.set_option(tcp::no_delay(true), failed);
    return caf::unit;
  }

  template <class Body>
  http::request<Body> prepare(std::string_view method, const std::string& target) const {
    http::request<Body> request;
    request.method_string(method);
    request.target(where_.prefix + target);
    request.version(11);
    request.set(http::field::host, where_.authority());
    request.set(http::field::user_agent, "sandy/" + std::string(version));
    request.keep_alive(false);
    if (!key_.empty())
      request.set(http::field::authorization, "Bearer " + key_);
    return request;
  }

  /// A refusal may come before the request was read to its end, so a failed write does not mean that there is
  /// no answer.
  template <class Body>
  void send(http::request<Body>& request) {
    error_code ignored;
    http::write(socket_, request, ignored);
  }

  result<void> send_pieces(http::request<http::buffer_body> request, const api_client::producer& next) {
    http::request_serializer<http::buffer_body> serializer(request);
    error_code failed;
    http::write_header(socket_, serializer, failed);
    while (!failed) {
      auto piece = next();
      if (!piece)
        return std::move(piece.error());
      auto& body = request.body();
      body.more = !piece->empty();
      body.data = piece->empty() ? nullptr : piece->data();
      body.size = piece->size();
      http::write(socket_, serializer, failed);
      if (failed == http::error::need_buffer)
        failed = {}; // it wants the next piece
      if (!body.more)
        break;
    }
    return caf::unit;
  }

  /// The head of the answer. Fails with the server's words when the status is one of failure.
  result<void> receive_head() {
    parser_.body_limit(boost::none);
    error_code failed;
    http::read_header(socket_, buffer_, parser_, failed);
    if (failed)
      return failure("The server did not answer: " + failed.message());
    auto status = parser_.get().result_int();
    if (status < 300)
      return caf::unit;
    std::string text;
    if (auto read = receive_body([&text](std::string_view bytes) { return append(text, bytes); }); !read)
      return read;
    auto object = nlohmann::json::parse(text, nullptr, false);
    std::string detail = "status " + std::to_string(status);
    if (object.is_object() && object.contains("detail") && object["detail"].is_string())
      detail = object["detail"].get<std::string>() + " (" + detail + ")";
    return failure("The server refused: " + detail);
  }

  result<void> receive_body(const api_client::consumer& take) {
    while (!parser_.is_done()) {
      auto& body = parser_.get().body();
      body.data = piece_.data();
      body.size = piece_.size();
      error_code failed;
      http::read_some(socket_, buffer_, parser_,
                      failed); // whatever has come: streams must not wait for a full piece
      if (failed && failed != http::error::need_buffer)
        return failure("The connection to the server ended early: " + failed.message());
      if (auto count = piece_.size() - body.size; count > 0)
        if (auto taken = take({piece_.data(), count}); !taken)
          return taken;
    }
    return caf::unit;
  }

  static result<void> append(std::string& text, std::string_view bytes) {
    if (text.size() + bytes.size() > whole_answer_bytes)
      return failure("The server's answer is too large");
    text += bytes;
    return caf::unit;
  }

  result<nlohmann::json> receive_json() {
    if (auto head = receive_head(); !head)
      return std::move(head.error());
    std::string text;
    if (auto body = receive_body([&text](std::string_view bytes) { return append(text, bytes); }); !body)
      return std::move(body.error());
    auto object = nlohmann::json::parse(text, nullptr, false);
    if (object.is_discarded())
      return failure("The server's answer is not JSON: is it a Sandy server?");
    return object;
  }

private:
  const base_url& where_;
  const std::string& key_;
  boost::asio::io_context context_;
  tcp::socket socket_{context_};
  std::optional<watched_socket> watch_; // after the socket: unwatched before it closes
  boost::beast::flat_buffer buffer_;
  http::response_parser<http::buffer_body> parser_;
  std::array<char, piece_bytes> piece_;
};

} // namespace

api_client::api_client(base_url where, std::string key)
    : where_(std::move(where))
    , key_(std::move(key)) {}

result<nlohmann::json> api_client::call(std::string_view method, const std::string& target,
                                        const std::optional<nlohmann::json>& body) {
  exchange once(where_, key_);
  if (auto connected = once.connect(); !connected)
    return std::move(connected.error());
  auto request = once.prepare<http::string_body>(method, target);
  if (body) {
    request.set(http::field::content_type, "application/json");
    request.body() = body->dump();
  }
  if (body || method != "GET")
    request.prepare_payload();
  once.send(request);
  return once.receive_json();
}

result<void> api_client::download(const std::string& target, const consumer& take) {
  exchange once(where_, key_);
  if (auto connected = once.connect(); !connected)
    return connected;
  auto request = once.prepare<http::empty_body>("GET", target);
  once.send(request);
  if (auto head = once.receive_head(); !head)
    return head;
  return once.receive_body(take);
}

result<nlohmann::json> api_client::upload(const std::string& target, std::optional<std::uint64_t> length,
                                          const producer& next) {
  exchange once(where_, key_);
  if (auto connected = once.connect(); !connected)
    return std::move(connected.error());
  auto request = once.prepare<http::buffer_body>("PUT", target);
  request.set(http::field::content_type, "application/octet-stream");
  request.body().more = true;
  if (length)
    request.content_length(*length);
  else
    request.chunked(true);
  if (auto sent = once.send_pieces(std::move(request), next); !sent)
    return std::move(sent.error());
  return once.receive_json();
}

result<void> api_client::events(const std::string& target, const nlohmann::json& body,
                                const event_consumer& take) {
  exchange once(where_, key_);
  if (auto connected = once.connect(); !connected)
    return connected;
  auto request = once.prepare<http::string_body>("POST", target);
  request.set(http::field::content_type, "application/json");
  request.set(http::field::accept, "text/event-stream");
  request.body() = body.dump();
  request.prepare_payload();
  once.send(request);
  if (auto head = once.receive_head(); !head)
    return head;
  sse_reader reader;
  bool ended = false;
  auto read = once.receive_body([&](std::string_view bytes) -> result<void> {
    for (const auto& event : reader.feed(bytes)) {
      auto more = take(event);
      if (!more)
        return std::move(more.error());
      if (!*more) {
        ended = true;
        return fail(errc::cancelled, "enough"); // leaves the loop; what follows is of no interest
      }
    }
    return caf::unit;
  });
  if (ended)
    return caf::unit;
  return read;
}

} // namespace sandy::cli
