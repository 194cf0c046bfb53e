#include "http/egress/intercepted_connection.hpp"

#include "http/egress/request_rewriter.hpp"
#include "http/errors.hpp"
#include "http/timed.hpp"
#include "messages/network_rule.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/status.hpp>

#include <algorithm>
#include <chrono>

namespace sandy::http::egress {

namespace net = boost::asio;
using net::experimental::awaitable_operators::operator&&;
using net::experimental::awaitable_operators::operator||;
using boost::system::error_code;

namespace {

constexpr std::size_t piece_bytes = 16 * 1024; // what TLS moves at a time
constexpr std::size_t fed_bytes = 1024;        // of them, that are understood at a time
constexpr std::chrono::seconds handshake_timeout{10};
/// For the head of a request that can only be answered with a failure.
constexpr std::chrono::seconds request_timeout{10};
/// What a host may still send that was told that no more requests come.
constexpr std::chrono::seconds last_answers{30};
/// For the sandbox to close its side after the host did; what it has not read by then, the kernel keeps.
constexpr std::chrono::seconds parting_timeout{30};
constexpr std::size_t most_parting_bytes = 1024 * 1024;

io_task<void> pause(io_executor where, std::chrono::seconds time) {
  io_timer timer{where, time};
  co_await timer.async_wait(as_values);
}

/// How the answers ended, which is how their reader must see them end.
enum class ending {
  broken,
  silent,   ///< of TLS, without a word: somebody may have cut it short
  announced ///< that there is no more
};

/// The bytes between a sandbox and a host, whatever carries them. Stays where it is while it moves them.
template <class Stream>
struct conversation {
  conversation(intercepted_connection& given, Stream& near_stream, Stream& far_stream)
      : what(given)
      , near(near_stream)
      , far(far_stream)
      , secrets(given.secrets->secrets_for(given.host, given.port, given.tls != nullptr))
      , rewriter(given.host, given.port, given.tls != nullptr, secrets) {}

  intercepted_connection& what;
  Stream& near;
  Stream& far;
  replacements secrets;
  request_rewriter rewriter;
  std::optional<caf::error> refused;
  bool over_budget = false;
  std::string first_answer; ///< how it begins
  ending answers = ending::broken;
};

/// Passes on what came, with secrets in it. @returns false when nothing more is to follow
template <class Stream>
io_task<bool> send_some(conversation<Stream>& talk, std::string_view came) {
  std::string out;
  while (!came.empty()) {
    result<void> fed = caf::unit;
    // Little by little: all that came at once can become hundreds of times as much.
    while (fed && !came.empty() && out.size() < piece_bytes) {
      fed = talk.rewriter.feed(came.substr(0, fed_bytes), out);
      came.remove_prefix(std::min(came.size(), fed_bytes));
    }
    if (!out.empty() && !talk.what.sent(out.size())) {
      talk.over_budget = true;
      co_return false;
    }
    if (!out.empty()) {
      auto written = co_await net::async_write(talk.far, net::buffer(out), as_values);
      if (std::get<0>(written))
        co_return false; // why, it may have said: the answers are read to their end
    }
    if (!fed) {
      talk.refused = std::move(fed.error());
      co_return false;
    }
    out.clear();
  }
  co_return true;
}

template <class Stream>
io_task<void> send_requests(conversation<Stream>& talk) {
  auto memory = std::make_unique_for_overwrite<char[]>(piece_bytes);
  std::string_view came = talk.what.begun;
  for (;;) {
    auto more = co_await send_some(talk, came);
    if (talk.over_budget || (talk.refused && talk.rewriter.requests() == 0))
      co_return;
    if (!more)
      break;
    auto outcome = co_await talk.near.async_read_some(net::buffer(memory.get(), piece_bytes), as_values);
    if (std::get<0>(outcome))
      break;
    came = {memory.get(), std::get<1>(outcome)};
  }
  // The host answers what it has and closes; who is gone does not keep the connection for ever.
  error_code ignored;
  talk.what.pair->far.shutdown(net::socket_base::shutdown_send, ignored);
  co_await pause(talk.what.pair->far.get_executor(), last_answers);
}

/// Looks how the first answer begins, before it is passed on.
template <class Stream>
void hear(conversation<Stream>& talk, std::string_view answer) {
  constexpr std::string_view agreed = "HTTP/1.1 101";
  if (talk.first_answer.size() < agreed.size()) {
    talk.first_answer.append(answer.substr(0, agreed.size() - talk.first_answer.size()));
    if (talk.first_answer == agreed)
      talk.rewriter.switched();
  }
}

template <class Stream>
io_task<void> pass_answers(conversation<Stream>& talk) {
  auto memory = std::make_unique_for_overwrite<char[]>(piece_bytes);
  for (;;) {
    auto outcome = co_await talk.far.async_read_some(net::buffer(memory.get(), piece_bytes), as_values);
    auto [ec, size] = outcome;
    if (ec == net::error::eof)
      talk.answers = ending::announced;
    if (ec == net::ssl::error::stream_truncated)
      talk.answers = ending::silent;
    if (ec)
      co_return;
    if (!talk.what.received(size)) {
      talk.over_budget = true;
      co_return;
    }
    hear(talk, {memory.get(), size});
    auto written = co_await net::async_write(talk.near, net::buffer(memory.get(), size), as_values);
    if (std::get<0>(written))
      co_return;
  }
}

std::string refusal(const caf::error& why) {
  auto status = to_status(why);
  auto body = error_body(why);
  auto reason = beast_http::obsolete_reason(static_cast<beast_http::status>(status));
  std::string text = "HTTP/1.1 " + std::to_string(status) + " ";
  text.append(reason.data(), reason.size());
  text += "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size());
  return text + "\r\nConnection: close\r\n\r\n" + body;
}

/// Says what is to be said last, and waits for the sandbox to close: a client that still sends would lose
/// what it has not read if we closed at once.
template <class Stream>
io_task<void> say_and_drain(std::shared_ptr<relay::relayed> pair, Stream& near, std::string last_words,
                            bool announce) {
  if (!last_words.empty()) {
    auto written = co_await net::async_write(near, net::buffer(last_words), as_values);
    if (std::get<0>(written))
      co_return;
  }
  if constexpr (!std::is_same_v<Stream, relay::socket>)
    if (announce)
      co_await near.async_shutdown(as_values); // fails when the client still sends, but has said it
  error_code ignored;
  pair->near.shutdown(net::socket_base::shutdown_send, ignored);
  auto memory = std::make_unique_for_overwrite<char[]>(piece_bytes);
  for (std::size_t drained = 0; drained < most_parting_bytes;) {
    auto outcome = co_await pair->near.async_read_some(net::buffer(memory.get(), piece_bytes), as_values);
    if (std::get<0>(outcome))
      co_return;
    drained += std::get<1>(outcome);
  }
}

/// Ends a connection so that everything that was written arrives.
template <class Stream>
io_task<void> part(std::shared_ptr<relay::relayed> pair, Stream& near, std::string last_words,
                   bool announce) {
  error_code ignored;
  pair->far.close(ignored);
  auto where = pair->near.get_executor();
  auto work = say_and_drain(pair, near, std::move(last_words), announce);
  co_await (std::move(work) || pause(where, parting_timeout));
  pair->near.shutdown(net::socket_base::shutdown_send, ignored); // if there was no time for it yet
  pair->near.close(ignored);
}

/// Relays until one side ends, and tells the sandbox why if it was us.
template <class Stream>
io_task<interception_outcome> converse(intercepted_connection& what, Stream& near, Stream& far) {
  conversation<Stream> talk{what, near, far};
  co_await (send_requests(talk) || pass_answers(talk));
  auto owed = talk.refused && (talk.answers == ending::announced || talk.rewriter.requests() == 0);
  if (!what.pair->ended && !talk.over_budget && (owed || talk.answers != ending::broken))
    co_await part(what.pair, near, owed ? refusal(*talk.refused) : std::string{},
                  owed || talk.answers == ending::announced);
  co_return interception_outcome{talk.rewriter.requests(), talk.rewriter.requests_with_secrets(),
                                 std::move(talk.refused)};
}

/// Waits for a request, so that there is something to answer, and answers that it cannot be served.
template <class Stream>
io_task<void> turn_away(intercepted_connection& what, Stream& near, const caf::error& why) {
  replacements none;
  request_rewriter reader{what.host, what.port, true, none};
  auto memory = std::make_unique_for_overwrite<char[]>(piece_bytes);
  std::string unused;
  for (;;) {
    auto outcome = co_await near.async_read_some(net::buffer(memory.get(), piece_bytes), as_values);
    auto [ec, size] = outcome;
    if (ec)
      co_return;
    unused.clear();
    auto fed = reader.feed({memory.get(), size}, unused);
    if (fed && reader.requests() == 0)
      continue;
    co_await part(what.pair, near, refusal(fed ? why : fed.error()), true);
    co_return;
  }
}

using tls_stream = net::ssl::stream<relay::socket&>;

io_task<error_code> meet_sandbox(tls_stream& near, const std::string& begun) {
  auto work = near.async_handshake(net::ssl::stream_base::server, net::buffer(begun), as_values);
  auto first = co_await (std::move(work) || pause(near.get_executor(), handshake_timeout));
  co_return first.index() == 0 ? std::get<0>(std::get<0>(first)) : error_code{net::error::timed_out};
}

io_task<error_code> meet_host(tls_stream& far) {
  auto work = far.async_handshake(net::ssl::stream_base::client, as_values);
  auto first = co_await (std::move(work) || pause(far.get_executor(), handshake_timeout));
  co_return first.index() == 0 ? std::get<0>(std::get<0>(first)) : error_code{net::error::timed_out};
}

io_task<interception_outcome> relay_tls(intercepted_connection& what) {
  interception_outcome failed;
  auto certificate = what.secrets->certificate_for(what.host);
  if (!certificate) {
    failed.refused = std::move(certificate.error());
    co_return failed;
  }
  tls_stream near{what.pair->near, what.tls->towards_sandbox()};
  tls_stream far{what.pair->far, what.tls->towards_host()};
  auto* near_side = near.native_handle();
  far.set_verify_callback(net::ssl::host_name_verification{what.host});
  if (SSL_use_certificate(near_side, *certificate) != 1 ||
      SSL_use_PrivateKey(near_side, what.secrets->key()) != 1 ||
      SSL_set_tlsext_host_name(far.native_handle(), what.host.c_str()) != 1) {
    failed.refused = fail(errc::internal, "TLS cannot be set up");
    co_return failed;
  }
  auto met = co_await (meet_sandbox(near, what.begun) && meet_host(far));
  auto [near_failed, far_failed] = met;
  const auto* asked_for = SSL_get_servername(near_side, TLSEXT_NAMETYPE_host_name);
  auto name = canonical_domain(asked_for == nullptr ? "" : asked_for);
  // What the policy judged is the name that the client says; a second greeting could say another.
  if (near_failed || !name || *name != what.host)
    co_return failed;
  what.begun.clear();
  if (far_failed) {
    failed.refused =
        fail(errc::upstream_error,
             "The host " + what.host + " has no TLS that can be trusted: " + far_failed.message());
    co_await (turn_away(what, near, *failed.refused) || pause(near.get_executor(), request_timeout));
    co_return failed;
  }
  auto outcome = co_await converse(what, near, far);
  co_return outcome;
}

} // namespace

io_task<interception_outcome> relay_with_secrets(intercepted_connection what) {
  for (auto* side : {&what.pair->near, &what.pair->far}) {
    error_code ignored;
    side->set_option(net::ip::tcp::no_delay{true}, ignored);
  }
  interception_outcome outcome;
  if (what.tls)
    outcome = co_await relay_tls(what);
  else
    outcome = co_await converse(what, what.pair->near, what.pair->far);
  what.pair->cut(); // what was not ended properly
  co_return outcome;
}

} // namespace sandy::http::egress
