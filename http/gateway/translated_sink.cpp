#include "http/gateway/translated_sink.hpp"

#include "http/codec/fields.hpp"
#include "http/errors.hpp"
#include "http/routes/common.hpp"
#include "http/sse.hpp"

#include <nlohmann/json.hpp>

#include <utility>

namespace sandy::http::gateway {

using nlohmann::json;

namespace {

// Chunks that nothing is told of (thoughts nobody asked for) must not look like silence.
constexpr std::chrono::milliseconds silence{1500};

} // namespace

translated_sink::translated_sink(exchange& ex, std::unique_ptr<wire::translation> to, error_body errors,
                                 header_list extra)
    : ex_(ex)
    , to_(std::move(to))
    , errors_(errors)
    , extra_(std::move(extra)) {}

io_task<result<void>> translated_sink::begin() {
  auto headers = routes::event_stream_headers();
  headers.insert(headers.end(), extra_.begin(), extra_.end());
  return ex_.begin_stream(200, event_stream_type, std::nullopt, std::move(headers));
}

void translated_sink::take(std::string_view payload) {
  if (failure_ || payload == "[DONE]")
    return;
  auto chunk = codec::parse_untrusted(payload);
  if (chunk.is_discarded()) {
    failure_ = fail(errc::upstream_error, "The model's answer is no JSON");
    return;
  }
  if (auto told = to_->chunk(chunk, out_); !told)
    failure_ = std::move(told.error());
}

io_task<result<void>> translated_sink::write(std::string_view text) {
  out_.clear();
  if (!payloads_.feed(text, [this](std::string_view payload) { take(payload); }) && !failure_)
    failure_ = fail(errc::upstream_error, "The model's answer has a line that is too long");
  if (failure_) {
    co_await end_failed();
    co_return failure_;
  }
  if (out_.empty() && (text.starts_with(':') || clock::now() - last_said_ > silence))
    to_->ping(out_);
  if (out_.empty())
    co_return caf::unit;
  last_said_ = clock::now();
  auto sent = co_await ex_.write(out_);
  co_return sent;
}

io_task<bool> translated_sink::broke(std::string why) {
  out_.clear();
  failure_ = fail(errc::upstream_error, std::move(why));
  co_await end_failed();
  co_return true;
}

/// Says why the stream ends, after what was to be said before.
io_task<void> translated_sink::end_failed() {
  to_->fail(failure_, out_);
  auto sent = co_await ex_.write(out_);
  if (sent)
    co_await ex_.end_stream();
}

io_task<void> translated_sink::end() {
  out_.clear();
  to_->finish(out_);
  auto sent = co_await ex_.write(out_);
  if (sent)
    co_await ex_.end_stream();
}

io_task<void> translated_sink::answer(std::string text) {
  auto body = codec::parse_untrusted(text); // one that is too deep is no object, and refused as such
  auto told = to_->whole(body);
  if (told)
    co_await ex_.reply(200, *told, extra_);
  else
    co_await refuse(std::move(told.error()));
}

io_task<void> translated_sink::refuse(caf::error why) {
  auto headers = extra_;
  if (auto seconds = retry_after(why); seconds > 0)
    headers.emplace_back("Retry-After", std::to_string(seconds));
  co_await ex_.reply_bytes(to_status(why), "application/json", errors_(why), std::move(headers));
}

} // namespace sandy::http::gateway
