#include "http/routes/routes.hpp"

#include "http/codec/files.hpp"
#include "http/codec/header_values.hpp"
#include "http/routes/common.hpp"
#include "http/routes/event_pump.hpp"
#include "http/routes/file_bytes.hpp"
#include "metrics/registry.hpp"

#include <nlohmann/json.hpp>

// What concerns names and whole directories: mkdir, move, stat, archives, changes.

namespace sandy::http::routes {

namespace {

io_task<result<void>> mkdir(exchange& ex) {
  auto body = co_await read_json(ex);
  if (!body)
    co_return body.error();
  auto request = codec::parse_mkdir(*body);
  if (!request)
    co_return request.error();
  auto io = co_await open_io(ex);
  if (!io)
    co_return io.error();
  auto made = co_await soon(ex, (*io)->make_directory(request->path, request->mode));
  if (!made)
    co_return made;
  co_await ex.reply(200, codec::done_json(request->path));
  co_return answered();
}

io_task<result<void>> move(exchange& ex) {
  auto body = co_await read_json(ex);
  if (!body)
    co_return body.error();
  auto request = codec::parse_move(*body);
  if (!request)
    co_return request.error();
  auto io = co_await open_io(ex);
  if (!io)
    co_return io.error();
  auto moved = co_await soon(ex, (*io)->move(request->from, request->to, request->overwrite));
  if (!moved)
    co_return moved;
  auto done = codec::done_json(request->to);
  co_await ex.reply(200, done);
  co_return answered();
}

io_task<result<void>> stat(exchange& ex) {
  auto path = query_path(ex);
  if (!path)
    co_return path.error();
  auto io = co_await open_io(ex);
  if (!io)
    co_return io.error();
  auto info = co_await soon(ex, (*io)->stat(std::move(*path)));
  if (!info)
    co_return info.error();
  co_await ex.reply(200, codec::to_json(*info));
  co_return answered();
}

io_task<result<void>> send_archive(exchange& ex, codec::archive_request request) {
  auto io = co_await open_io(ex);
  if (!io)
    co_return io.error();
  auto source = co_await soon(ex, (*io)->archive(std::move(request.path), request.gzip));
  if (!source)
    co_return source.error();
  header_list extra{{"Content-Disposition", request.gzip ? "attachment; filename=\"archive.tar.gz\""
                                                         : "attachment; filename=\"archive.tar\""}};
  auto type = request.gzip ? "application/gzip" : "application/x-tar";
  auto sent = co_await send_source(ex, std::move(*source), type, std::move(extra));
  co_return sent;
}

io_task<result<void>> download_archive(exchange& ex) {
  auto path = query_directory(ex);
  if (!path)
    co_return path.error();
  auto gzip = codec::parse_archive_format(ex.query("format").value_or(""));
  if (!gzip)
    co_return gzip.error();
  auto sent = co_await send_archive(ex, {std::move(*path), *gzip});
  co_return sent;
}

io_task<result<void>> unpack_archive(exchange& ex) {
  auto path = query_directory(ex);
  if (!path)
    co_return path.error();
  auto io = co_await open_io(ex);
  if (!io)
    co_return io.error();
  auto sink = co_await soon(ex, (*io)->unarchive(*path));
  if (!sink)
    co_return sink.error();
  std::uint64_t total = 0;
  for (;;) {
    auto piece = co_await ex.read_some();
    if (!piece)
      co_return piece.error();
    if (piece->empty())
      break;
    total += piece->size();
    ex.server().metrics.guest_bytes(metrics::direction::in, piece->size());
    auto written = co_await (*sink)->write(*piece);
    if (!written)
      co_return written;
  }
  auto unpacked = co_await (*sink)->finish();
  if (!unpacked)
    co_return unpacked;
  auto body = codec::done_json(*path);
  body["bytes"] = total;
  co_await ex.reply(200, body);
  co_return answered();
}

/// A tar in goes into the directory; JSON asks for the directory as a tar.
io_task<result<void>> post_archive(exchange& ex) {
  if (codec::media_type(ex.header("Content-Type")) != "application/json") {
    auto outcome = co_await unpack_archive(ex);
    co_return outcome;
  }
  auto body = co_await read_json(ex);
  if (!body)
    co_return body.error();
  auto request = codec::parse_archive(*body);
  if (!request)
    co_return request.error();
  auto outcome = co_await send_archive(ex, std::move(*request));
  co_return outcome;
}

/// Changes as server-sent events, named by their kind. There is no last one.
struct watch_event_text {
  bool add(std::string& out, const watch_event& event) {
    auto data = codec::to_json(event).dump();
    append_event(out, {event.kind, data, {}});
    return false;
  }
  void flush(std::string&) {}
};

io_task<result<void>> watch(exchange& ex) {
  auto path = query_directory(ex);
  if (!path)
    co_return path.error();
  auto recursive = query_flag(ex, "recursive");
  if (!recursive)
    co_return recursive.error();
  auto skip = query_flag(ex, "skip_dependencies");
  if (!skip)
    co_return skip.error();
  auto io = co_await open_io(ex);
  if (!io)
    co_return io.error();
  watch_options options{std::move(*path), recursive->value_or(true), skip->value_or(false)};
  auto stream = co_await soon(ex, (*io)->watch(std::move(options)));
  if (!stream)
    co_return stream.error();
  watch_event_text format;
  co_await send_events(ex, **stream, format);
  co_return answered();
}

} // namespace

void add_tree_routes(std::vector<route>& table) {
  table.insert(
      table.end(),
      {{"POST", "/api/sandboxes/{id}/files/mkdir", answer<mkdir>},
       {"POST", "/api/sandboxes/{id}/files/move", answer<move>},
       {"GET", "/api/sandboxes/{id}/files/stat", answer<stat>},
       {"GET", "/api/sandboxes/{id}/files/archive", answer<download_archive>, false, request_cost::stream},
       {"POST", "/api/sandboxes/{id}/files/archive", answer<post_archive>, false, request_cost::stream},
       {"GET", "/api/sandboxes/{id}/files/watch", answer<watch>, false, request_cost::stream}});
}

} // namespace sandy::http::routes
