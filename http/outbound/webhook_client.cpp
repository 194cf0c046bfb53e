#include "http/outbound/webhook_client.hpp"

#include "http/codec/events.hpp"
#include "http/codec/header_values.hpp"
#include "http/outbound/address_policy.hpp"
#include "http/routes/common.hpp"
#include "http/routes/sha256.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>

#include <nlohmann/json.hpp>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/ssl.h>

#include <array>
#include <charconv>

namespace sandy::http::outbound {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using socket_type = asio::basic_stream_socket<tcp, io_executor>;
using message = beast::http::request<beast::http::string_body>;

constexpr auto quietly = asio::as_tuple(routes::use_io);
/// Until a receiver must have answered: it should only take note, and work later.
constexpr std::chrono::seconds post_timeout{10};
/// Of the answer's head; receivers that send more are no receivers.
constexpr std::uint32_t most_header_bytes = 16 * 1024;

caf::error unreachable(const char* what, const boost::system::error_code& failed) {
  return fail(errc::upstream_error, std::string{"The receiver "} + what + ": " + failed.message());
}

template <class Stream>
io_task<result<unsigned>> converse(Stream& stream, const message& request) {
  auto [write_failed, written] = co_await beast::http::async_write(stream, request, quietly);
  if (write_failed)
    co_return unreachable("took no request", write_failed);
  beast::flat_buffer buffer;
  beast::http::response_parser<beast::http::empty_body> answer;
  answer.header_limit(most_header_bytes);
  auto [read_failed, read] = co_await beast::http::async_read_header(stream, buffer, answer, quietly);
  if (read_failed)
    co_return unreachable("gave no answer", read_failed);
  co_return answer.get().result_int();
}

/// Names one delivery, the same for every try: receivers can tell a repetition.
std::string delivery_id(const webhook_settings& settings, const life_event& event) {
  routes::sha256 digest;
  digest.update(settings.url + "\n" + event.tenant.value + "\n" + event.sandbox.value + "\n" +
                std::to_string(event.sequence) + "\n" + std::to_string(event.at));
  return digest.hex().substr(0, 32);
}

} // namespace

result<webhook_address> parse_webhook_url(std::string_view url) {
  auto refused = [](const char* why) { return fail(errc::invalid_argument, why); };
  auto parsed = boost::urls::parse_uri(url);
  if (!parsed || !parsed->has_authority() || parsed->host().empty())
    return refused("is not a URL such as https://example.com/events");
  if (parsed->scheme() != "http" && parsed->scheme() != "https")
    return refused("is neither http nor https");
  if (parsed->has_userinfo() || parsed->has_fragment())
    return refused("has a user or a fragment");
  webhook_address address;
  address.tls = parsed->scheme() == "https";
  address.host = parsed->host_address();
  address.port = parsed->port().empty() ? (address.tls ? "443" : "80") : std::string{parsed->port()};
  address.authority = std::string{parsed->encoded_host_and_port()};
  address.target = std::string{parsed->encoded_target()};
  if (!address.target.starts_with('/'))
    address.target.insert(address.target.begin(), '/');
  return address;
}

std::string webhook_signature(std::string_view secret, std::string_view timestamp, std::string_view body) {
  auto signed_text = std::string{timestamp}.append(".").append(body);
  std::array<char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(signed_text.data()), signed_text.size(),
       reinterpret_cast<unsigned char*>(digest.data()), &size);
  return "v1=" + codec::to_hex({digest.data(), size});
}

webhook_client::webhook_client(webhook_settings settings, webhook_address to)
    : settings_(std::move(settings))
    , to_(std::move(to)) {
  if (to_.tls) {
    tls_ = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_client);
    tls_->set_default_verify_paths();
    tls_->set_verify_mode(asio::ssl::verify_peer);
    SSL_CTX_set_min_proto_version(tls_->native_handle(), TLS1_2_VERSION);
  }
}

webhook_client::~webhook_client() = default;

result<std::shared_ptr<webhook_client>> webhook_client::make(webhook_settings settings) {
  auto to = parse_webhook_url(settings.url);
  if (!to)
    return std::move(to.error());
  return std::shared_ptr<webhook_client>{new webhook_client(std::move(settings), std::move(*to))};
}

io_task<result<unsigned>> webhook_client::post(std::shared_ptr<const webhook_client> client,
                                               life_event event) {
  using asio::experimental::awaitable_operators::operator||;
  auto work = client->try_to_post(std::move(event));
  auto timer = routes::pause(post_timeout);
  auto first = co_await (std::move(work) || std::move(timer));
  if (first.index() == 1)
    co_return fail(errc::deadline_exceeded, "The receiver did not answer in time");
  co_return std::move(std::get<0>(first));
}

io_task<result<unsigned>> webhook_client::try_to_post(life_event event) const {
  auto executor = co_await asio::this_coro::executor;
  auto found = co_await names_.find(to_.host);
  if (!found)
    co_return fail(errc::upstream_error, "The receiver has no address: " + text_of(found.error()));
  std::uint16_t port = 0;
  std::from_chars(to_.port.data(), to_.port.data() + to_.port.size(), port);
  socket_type socket{executor};
  auto failed = boost::system::error_code{asio::error::access_denied};
  for (const auto& each : *found) {
    if (!settings_.allow_private && !is_public(each))
      continue;
    boost::system::error_code ignored;
    socket.close(ignored);
    const tcp::endpoint place{each, port};
    auto [refused] = co_await socket.async_connect(place, quietly);
    failed = refused;
    if (!failed)
      break;
  }
  if (failed == asio::error::access_denied)
    co_return fail(errc::forbidden, "The receiver has no public address");
  if (failed)
    co_return unreachable("cannot be reached", failed);

  auto timestamp = std::to_string(unix_now() / 1000);
  message request{beast::http::verb::post, to_.target, 11, codec::to_json(event).dump()};
  request.set(beast::http::field::host, to_.authority);
  request.set(beast::http::field::user_agent, "sandy-webhook");
  request.set(beast::http::field::content_type, "application/json");
  request.set(beast::http::field::connection, "close");
  request.set("Sandy-Event", to_string(event.type));
  request.set("Sandy-Delivery", delivery_id(settings_, event));
  request.set("Sandy-Timestamp", timestamp);
  request.set("Sandy-Signature", webhook_signature(settings_.secret, timestamp, request.body()));
  request.prepare_payload();

  if (!tls_) {
    auto status = co_await converse(socket, request);
    co_return status;
  }
  asio::ssl::stream<socket_type&> stream{socket, *tls_};
  stream.set_verify_callback(asio::ssl::host_name_verification{to_.host});
  boost::system::error_code literal;
  asio::ip::make_address(to_.host, literal);
  if (literal) // an address must not be sent as a server name
    SSL_set_tlsext_host_name(stream.native_handle(), to_.host.c_str());
  auto [untrusted] = co_await stream.async_handshake(asio::ssl::stream_base::client, quietly);
  if (untrusted)
    co_return unreachable("has no TLS that can be trusted", untrusted);
  auto status = co_await converse(stream, request);
  co_return status;
}

} // namespace sandy::http::outbound
