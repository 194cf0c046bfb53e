#include "http/routes/image_import.hpp"

#include "coro/offloaded.hpp"
#include "http/codec/image.hpp"
#include "http/routes/event_pump.hpp"
#include "http/sse.hpp"
#include "runtime/image_importer.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/write.hpp>

#include <nlohmann/json.hpp>

#include <array>
#include <tuple>

// The bytes of an archive go from the client's socket into the pipe of the helper that unpacks it; what the
// helper says of its work goes from a pipe to the client. Neither is held here.

namespace sandy::http::routes {

namespace {

namespace asio = boost::asio;
using descriptor = asio::posix::basic_stream_descriptor<io_executor>;
using running_import = std::shared_ptr<runtime::image_import>;

constexpr auto quietly = asio::as_tuple(use_io);
/// Proxies give up silent connections after half a minute at the earliest.
constexpr std::chrono::seconds silence{10};

struct wanted_import {
  std::string name;
  runtime::import_source from;
};

io_task<result<wanted_import>> read_request(exchange& ex) {
  if (!ex.header("Content-Type").starts_with("application/json")) {
    auto name = ex.query("name");
    if (!name || name->empty())
      co_return fail(errc::validation_failed, "name is required: POST /api/images?name=...");
    co_return wanted_import{std::move(*name), {}};
  }
  auto body = co_await read_json(ex);
  if (!body)
    co_return body.error();
  auto parsed = codec::parse_import(*body);
  if (!parsed)
    co_return parsed.error();
  wanted_import wanted{std::move(parsed->name), {}};
  wanted.from.reference = std::move(parsed->reference);
  if (!wanted.from.reference)
    wanted.from.file = std::move(parsed->path);
  co_return wanted;
}

/// Passes the body on. A helper that reads no more has its reasons, which it tells when it ends.
io_task<result<void>> send_archive(exchange& ex, runtime::unique_fd to) {
  auto executor = co_await asio::this_coro::executor;
  descriptor pipe{executor, to.release()};
  for (;;) {
    auto piece = co_await ex.read_some();
    if (!piece)
      co_return piece.error();
    if (piece->empty())
      co_return caf::unit;
    auto written = co_await asio::async_write(pipe, asio::buffer(*piece), quietly);
    if (std::get<0>(written))
      co_return caf::unit;
  }
}

/// The steps that a helper tells, to a client that wants to see them.
class progress_teller {
public:
  progress_teller(exchange& ex, bool shown)
      : ex_(ex)
      , shown_(shown) {}

  /// Returns when the helper has ended. Fails with cancelled when the client is gone.
  io_task<result<void>> tell(runtime::unique_fd from) {
    using asio::experimental::awaitable_operators::operator||;
    auto executor = co_await asio::this_coro::executor;
    descriptor pipe{executor, from.release()};
    if (shown_) {
      auto begun = co_await ex_.begin_stream(200, event_stream_type, std::nullopt, event_stream_headers());
      if (!begun)
        co_return begun;
    }
    for (;;) {
      auto waiting = pause(silence);
      auto reading = pipe.async_read_some(asio::buffer(buffer_), quietly);
      auto first = co_await (std::move(reading) || std::move(waiting));
      if (first.index() == 1) {
        auto sent = co_await send(std::string{sse_heartbeat});
        if (!sent)
          co_return sent;
        continue;
      }
      auto [ended, count] = std::get<0>(first);
      if (ended)
        co_return caf::unit;
      auto sent = co_await send(events(std::string_view{buffer_.data(), count}));
      if (!sent)
        co_return sent;
    }
  }

private:
  /// Whole lines as events. What is too long to be one of ours is dropped.
  std::string events(std::string_view more) {
    constexpr std::size_t longest = 4096;
    std::string all;
    for (auto c : more)
      if (c != '\n') {
        line_.push_back(c);
      } else {
        if (line_.size() <= longest)
          append_event(all, {"progress", line_, {}});
        line_.clear();
      }
    if (line_.size() > longest)
      line_.resize(longest + 1);
    return all;
  }

  io_task<result<void>> send(std::string text) {
    if (!shown_ || text.empty())
      co_return caf::unit;
    auto sent = co_await ex_.write(text);
    co_return sent;
  }

  exchange& ex_;
  bool shown_;
  std::string line_;
  std::array<char, 16 * 1024> buffer_{};
};

/// Everything but the helper's own work. However it ends, the pipes are closed then, and the helper ends
/// soon.
io_task<result<bool>> converse(exchange& ex, runtime::unique_fd archive, runtime::unique_fd progress,
                               bool shown) {
  if (archive) {
    auto sent = co_await send_archive(ex, std::move(archive));
    if (!sent)
      co_return sent.error();
  }
  progress_teller teller{ex, shown};
  auto told = co_await while_there(ex, teller.tell(std::move(progress)));
  if (!told)
    co_return told.error();
  co_return shown;
}

io_task<result<void>> answer_events(exchange& ex, const result<image_info>& made) {
  const auto& names = ex.server().images;
  std::string last;
  if (made)
    append_event(last, {"image", codec::to_json(*made, names).dump(), {}});
  else
    append_event(last, {"error", error_data(made.error()), {}});
  auto sent = co_await ex.write(last);
  if (sent)
    co_await ex.end_stream();
  co_return answered();
}

} // namespace

io_task<result<void>> import_image(exchange& ex) {
  using asio::experimental::awaitable_operators::operator&&;
  auto& server = ex.server();
  if (!ex.caller().admin)
    co_return fail(errc::forbidden, "This needs an administrator's key");
  if (server.importer == nullptr)
    co_return fail(errc::feature_unavailable, "Images cannot be imported here");
  auto wanted = co_await read_request(ex);
  if (!wanted)
    co_return wanted.error();
  auto begin = [importer = server.importer, wanted = *wanted] {
    return importer->begin(wanted.name, wanted.from);
  };
  auto begun = co_await coro::offloaded<running_import>(server.blocking_calls, std::move(begin));
  if (!begun)
    co_return begun.error();
  auto begun_import = std::move(*begun);
  const bool shown = ex.header("Accept").find("text/event-stream") != std::string_view::npos;
  auto conversation =
      converse(ex, std::move(begun_import->archive), std::move(begun_import->progress), shown);
  auto work =
      coro::offloaded<image_info>(server.blocking_calls, [begun_import] { return begun_import->finish(); });
  auto [talked, made] = co_await (std::move(conversation) && std::move(work));
  if (!talked)
    co_return code_of(talked.error()) == errc::cancelled ? answered() : talked.error();
  if (shown) {
    auto told = co_await answer_events(ex, made);
    co_return told;
  }
  if (!made)
    co_return made.error();
  co_await ex.reply(200, codec::to_json(*made, server.images));
  co_return answered();
}

} // namespace sandy::http::routes
