#include "http/routes/file_bytes.hpp"

#include "metrics/registry.hpp"

#include <algorithm>

namespace sandy::http::routes {

io_task<void> copy_to_client(exchange& ex, byte_source& source, std::optional<std::uint64_t> length) {
  std::uint64_t sent_bytes = 0;
  for (;;) {
    auto piece = co_await source.read();
    if (!piece)
      co_return;
    if (length && piece->size() > *length - sent_bytes)
      piece->resize(*length - sent_bytes); // it grew since its length was announced
    if (piece->empty())
      break;
    auto sent = co_await ex.write(*piece);
    if (!sent)
      co_return;
    sent_bytes += piece->size();
    ex.server().metrics.guest_bytes(metrics::direction::out, piece->size());
  }
  // A file that shrank meanwhile has less than announced; the session shows that as a cut.
  co_await ex.end_stream();
}

io_task<result<void>> send_source(exchange& ex, std::unique_ptr<byte_source> source,
                                  std::string_view content_type, header_list extra) {
  auto first = co_await source->read();
  if (!first)
    co_return first.error();
  auto begun = co_await ex.begin_stream(200, content_type, std::nullopt, std::move(extra));
  if (begun && !first->empty())
    begun = co_await ex.write(*first);
  if (!begun)
    co_return answered();
  ex.server().metrics.guest_bytes(metrics::direction::out, first->size());
  if (first->empty())
    co_await ex.end_stream();
  else
    co_await copy_to_client(ex, *source, std::nullopt);
  co_return answered();
}

io_task<result<void>> send_raw(exchange& ex, open_file file, std::string_view type, header_list extra) {
  // Files of /proc claim to be empty and are not.
  if (file.info.size == 0) {
    auto sent = co_await send_source(ex, std::move(file.bytes), type, std::move(extra));
    co_return sent;
  }
  auto begun = co_await ex.begin_stream(200, type, file.info.size, std::move(extra));
  if (begun)
    co_await copy_to_client(ex, *file.bytes, file.info.size);
  co_return answered();
}

} // namespace sandy::http::routes
