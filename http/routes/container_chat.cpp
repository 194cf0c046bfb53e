#include "http/routes/container_chat.hpp"

#include "http/client/call.hpp"
#include "http/codec/chat_stream.hpp"
#include "http/codec/header_values.hpp"
#include "http/ingress/visit.hpp"
#include "http/routes/common.hpp"
#include "http/shard.hpp"
#include "http/sse.hpp"

#include <array>
#include <chrono>
#include <optional>

namespace sandy::http::routes {

namespace {

/// A stream is silent for no longer.
constexpr std::chrono::milliseconds ping_after{1'500};
/// How often whoever waits for the container looks for the client.
constexpr std::chrono::milliseconds glance{250};

/// What tells the container of the request; never the credentials, which are for us.
constexpr std::array<const char*, 7> passed_fields{
    "Accept", "Content-Type", "User-Agent", "X-Request-Id", "X-Correlation-Id", "traceparent", "tracestate"};

std::string fields_of(const exchange& ex) {
  std::string fields;
  for (const auto* name : passed_fields)
    if (auto value = ex.header(name); !value.empty())
      fields += std::string{name} + ": " + std::string{value} + "\r\n";
  return fields;
}

caf::error too_slow(const container_info& container) {
  return fail(errc::deadline_exceeded,
              "The container did not answer within " + std::to_string(container.timeout_seconds) + " s");
}

/// The container's own words for what its connection did.
caf::error upstream_words(const container_info& container, const caf::error& why) {
  if (code_of(why) == errc::deadline_exceeded)
    return too_slow(container);
  return fail(code_of(why), "The container does not answer: " + text_of(why));
}

/// One answer of a container on its way back.
class answering {
public:
  answering(exchange& ex, const container_info& container, client::call& call)
      : ex_(ex)
      , container_(container)
      , call_(call) {}

  /// Sends it all; an answer that breaks off is cut, a stream of events is ended.
  io_task<void> run() {
    const auto& answer = call_.answer();
    std::string type{answer.field("Content-Type")};
    if (codec::media_type(type) == "text/event-stream") {
      auto begun = co_await ex_.begin_stream(answer.status, type, std::nullopt, event_stream_headers());
      if (begun)
        co_await pass_events();
      co_return;
    }
    auto begun = co_await ex_.begin_stream(answer.status, type, answer.length);
    if (begun)
      co_await pass_bytes();
  }

private:
  io_task<void> pass_bytes() {
    while (!call_.expired()) {
      auto piece = call_.take();
      if (!piece)
        co_return; // cut
      const auto last = piece->last, waits = piece->bytes.empty() && !last;
      if (waits) {
        auto status = co_await call_.wait(glance);
        if (status == io_status::timed_out && is_client_gone())
          co_return;
        continue;
      }
      if (!piece->bytes.empty()) {
        auto sent = co_await ex_.write(piece->bytes);
        if (!sent)
          co_return;
      }
      if (last)
        co_return co_await ex_.end_stream();
    }
  }

  /// A client that only closed its side of the connection still waits for its answer: it gets the time for
  /// it.
  bool is_client_gone() {
    if (!ex_.has_hung_up())
      return false;
    const auto now = std::chrono::steady_clock::now();
    if (!closed_since_)
      closed_since_ = now;
    return now - *closed_since_ >= ex_.server().limits.departure_grace;
  }

  io_task<void> pass_events() {
    codec::chat_stream stream;
    caf::error broken;
    auto silence = std::chrono::steady_clock::now(); // since then
    while (!stream.done()) {
      if (call_.expired()) { // also of one that never falls silent
        broken = too_slow(container_);
        break;
      }
      auto piece = call_.take();
      if (!piece) {
        broken = upstream_words(container_, piece.error());
        break;
      }
      if (!piece->bytes.empty()) {
        const auto last = piece->last;
        auto sent = co_await ex_.write(piece->bytes.substr(0, stream.take(piece->bytes)));
        if (!sent)
          co_return;
        silence = std::chrono::steady_clock::now();
        if (last)
          break;
        continue;
      }
      if (piece->last)
        break;
      auto status = co_await call_.wait(glance);
      if (status != io_status::timed_out)
        continue;            // what a broken connection means, `take` says
      if (ex_.has_hung_up()) // who reads a stream keeps the connection open
        co_return;
      if (!stream.between_lines() || std::chrono::steady_clock::now() - silence < ping_after)
        continue;
      silence = std::chrono::steady_clock::now();
      auto sent = co_await ex_.write(codec::chat_ping);
      if (!sent)
        co_return;
    }
    auto closed = co_await ex_.write(stream.closing(broken));
    if (closed)
      co_await ex_.end_stream();
  }

  exchange& ex_;
  const container_info& container_;
  client::call& call_;
  std::optional<std::chrono::steady_clock::time_point> closed_since_;
};

} // namespace

io_task<result<void>> chat(exchange& ex) {
  auto container = co_await opened_container(ex);
  if (!container)
    co_return container.error();
  auto request = co_await ex.read_body(ex.server().limits.json_body_bytes);
  if (!request)
    co_return request.error();
  if (container->status != container_status::running)
    co_return fail(errc::upstream_error, "The container does not run: it is " + to_string(container->status));
  auto guest = co_await ingress::enter(ex, container->sandbox);
  if (!guest)
    co_return std::move(guest.error());
  client::patience limits;
  limits.total = limits.first_byte = limits.between = std::chrono::seconds{container->timeout_seconds};
  client::call call{ex.home(), client::address::in_sandbox(guest->to, container->port), limits};
  const auto fields = fields_of(ex);
  client::request what{"POST", "/v1/chat/completions", fields, false};
  auto asked = co_await while_there(ex, call.ask(what, *request));
  if (!asked && code_of(asked.error()) == errc::cancelled)
    co_return asked;
  if (!asked)
    co_return upstream_words(*container, asked.error());
  answering answer{ex, *container, call};
  co_await answer.run();
  co_return answered();
}

} // namespace sandy::http::routes
