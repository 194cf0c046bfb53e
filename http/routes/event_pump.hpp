#pragma once

#include "http/codec/utf8.hpp"
#include "http/routes/common.hpp"
#include "http/sse.hpp"

#include <boost/asio/as_tuple.hpp>

#include <cstddef>
#include <string>

namespace sandy::http::routes {

/// The data of an `error` event: the truth about why a stream ended early.
std::string error_data(const caf::error& err);

/// Moves events from a stream of the sandbox to the client, as server-sent events. Reading and writing
/// overlap, small events share a write, and a slow client stops the reading: at most one buffer waits.
///
/// `Stream` has `next()`; `Format` has `bool add(std::string& out, Event event)` (true: that was the last)
/// and `void flush(std::string& out)`, which gives out what it held back. Lives while `run` does.
template <class Stream, class Format>
class event_pump {
public:
  event_pump(exchange& ex, Stream& stream, Format& format, io_executor executor)
      : ex_(ex)
      , stream_(stream)
      , format_(format)
      , arrived_(executor)
      , taken_(executor) {}

  /// Returns after the last event was sent, or as soon as the client is gone. The answer has begun.
  io_task<void> run() {
    using boost::asio::experimental::awaitable_operators::operator||;
    co_await (read_events() || send_events() || ex_.hang_up());
  }

private:
  // Enough for a write to be worth its system call; more would only be memory.
  static constexpr std::size_t enough = 64 * 1024;
  // Proxies give up silent connections after half a minute at the earliest.
  static constexpr std::chrono::seconds silence{10};
  static constexpr auto quietly = boost::asio::as_tuple(use_io);

  io_task<void> read_events() {
    for (;;) {
      auto event = co_await stream_.next();
      if (event) {
        last_ = format_.add(pending_, std::move(*event));
      } else {
        format_.flush(pending_);
        append_event(pending_, {"error", error_data(event.error()), {}});
        last_ = true;
      }
      arrived_.cancel();
      while (last_ || pending_.size() >= enough) { // after the last event: until the sender has ended us
        taken_.expires_at(io_timer::time_point::max());
        co_await taken_.async_wait(quietly);
      }
    }
  }

  io_task<void> send_events() {
    std::string sending;
    for (;;) {
      if (pending_.empty() && !last_) {
        arrived_.expires_after(silence);
        co_await arrived_.async_wait(quietly);
        if (pending_.empty() && !last_) {
          format_.flush(pending_);
          pending_.append(sse_heartbeat);
        }
      }
      sending.clear();
      sending.swap(pending_);
      taken_.cancel();
      auto sent = co_await ex_.write(sending);
      if (!sent)
        co_return;
      if (last_ && pending_.empty()) {
        co_await ex_.end_stream();
        co_return;
      }
    }
  }

  exchange& ex_;
  Stream& stream_;
  Format& format_;
  std::string pending_;
  bool last_ = false;
  io_timer arrived_;
  io_timer taken_;
};

/// Answers with the events of `stream`.
template <class Stream, class Format>
io_task<void> send_events(exchange& ex, Stream& stream, Format& format) {
  auto begun = co_await ex.begin_stream(200, event_stream_type, std::nullopt, event_stream_headers());
  if (!begun)
    co_return;
  auto executor = co_await boost::asio::this_coro::executor;
  event_pump<Stream, Format> pump{ex, stream, format, executor};
  co_await pump.run();
}

} // namespace sandy::http::routes
