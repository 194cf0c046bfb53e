#include "http/gateway/http_sink.hpp"

#include "http/routes/common.hpp"
#include "http/sse.hpp"

namespace sandy::http::gateway {

http_sink::http_sink(exchange& ex, const chat_ids& ids)
    : ex_(ex) {
  if (ex.header("X-Correlation-ID").empty()) // else the edge repeats it
    extra_.emplace_back("X-Correlation-ID", ids.correlation);
  if (!ids.debug.empty())
    extra_.emplace_back("X-Debug-Request-Id", ids.debug);
}

io_task<result<void>> http_sink::begin() {
  auto headers = routes::event_stream_headers();
  headers.insert(headers.end(), extra_.begin(), extra_.end());
  return ex_.begin_stream(200, event_stream_type, std::nullopt, std::move(headers));
}

io_task<void> http_sink::answer(std::string text) {
  co_await ex_.reply_bytes(200, "application/json", std::move(text), extra_);
}

} // namespace sandy::http::gateway
