#include "http/routes/routes.hpp"

#include "http/codec/base64.hpp"
#include "http/codec/fields.hpp"
#include "http/codec/files.hpp"
#include "http/codec/header_values.hpp"
#include "http/codec/utf8.hpp"
#include "http/codec/write_parser.hpp"
#include "http/routes/common.hpp"
#include "http/routes/file_bytes.hpp"
#include "metrics/registry.hpp"

#include <nlohmann/json.hpp>

#include <optional>
#include <utility>

// The file routes of the contract: JSON in, JSON out.

namespace sandy::http::routes {

namespace {

// Content waits for the path at most so long; clients send the path first.
constexpr std::size_t waiting_for_path = 8 * 1024 * 1024;
// With the path known, content waits until it is worth opening the file: a small body may have its fields in
// any order.
constexpr std::size_t waiting_for_more = 1024 * 1024;
// What may stand around content of the full body limit.
constexpr std::uint64_t envelope_bytes = 64 * 1024;
// Larger files are read twice, once to learn whether they are UTF-8, rather than held in memory.
constexpr std::size_t held_in_memory = 1024 * 1024;

// -- write
// ------------------------------------------------------------------------------------------------------------

/// A file that is being written from a JSON body.
struct writing {
  std::shared_ptr<sandbox_io> io;
  codec::write_parser parser;
  std::unique_ptr<byte_sink> sink;
};

/// Moves what the parser has to the file, opening it first.
io_task<result<void>> write_out(exchange& ex, writing& file) {
  if (!file.sink) {
    auto mode = file.parser.mode();
    write_options options{*file.parser.path(), mode.value_or(0644), !mode};
    auto sink = co_await soon(ex, file.io->write_file(std::move(options)));
    if (!sink)
      co_return sink.error();
    file.sink = std::move(*sink);
    file.parser.settle();
  }
  auto content = file.parser.take_content();
  if (content.empty())
    co_return caf::unit;
  ex.server().metrics.guest_bytes(metrics::direction::in, content.size());
  auto written = co_await file.sink->write(content);
  co_return written;
}

io_task<result<void>> take_piece(exchange& ex, writing& file, std::string piece) {
  auto parsed = file.parser.feed(piece);
  if (!parsed)
    co_return parsed;
  auto waiting = file.parser.waiting_bytes();
  if (!file.parser.path()) {
    if (waiting > waiting_for_path)
      co_return fail(errc::payload_too_large, "path must come before content of more than 8 MiB");
    co_return caf::unit;
  }
  if (!file.sink && waiting < waiting_for_more)
    co_return caf::unit;
  auto written = co_await write_out(ex, file);
  co_return written;
}

io_task<result<void>> write(exchange& ex) {
  auto limit = ex.server().limits.json_body_bytes + envelope_bytes;
  auto too_large = [] {
    return fail(errc::payload_too_large, "The body is too large: send large files with PUT .../files?path=");
  };
  if (ex.content_length().value_or(0) > limit)
    co_return too_large();
  writing file;
  auto io = co_await open_io(ex);
  if (!io)
    co_return io.error();
  file.io = std::move(*io);
  for (std::uint64_t total = 0;;) {
    auto piece = co_await ex.read_some();
    if (!piece)
      co_return piece.error();
    if (piece->empty())
      break;
    total += piece->size();
    if (total > limit)
      co_return too_large();
    auto taken = co_await take_piece(ex, file, std::move(*piece));
    if (!taken)
      co_return taken;
  }
  auto complete = file.parser.finish();
  if (!complete)
    co_return complete;
  auto written = co_await write_out(ex, file);
  if (!written)
    co_return written;
  auto info = co_await soon(ex, file.sink->commit(file.parser.base64()));
  if (!info)
    co_return info.error();
  auto body = codec::done_json(info->path);
  body["size"] = info->size;
  co_await ex.reply(200, body);
  co_return answered();
}

// -- read
// -------------------------------------------------------------------------------------------------------------

/// What stands behind `content` in the answer.
std::string tail_of_read(const file_info& info, std::string_view encoding, std::uint64_t size) {
  auto rest = codec::to_json(info);
  rest["encoding"] = encoding;
  rest["size"] = size;
  auto text = rest.dump();
  return text.replace(0, 1, "\",");
}

/// The begin of a file, and whether that was all.
struct file_begin {
  std::string bytes;
  bool complete = false;
};

io_task<result<file_begin>> read_begin(byte_source& source) {
  file_begin begin;
  while (begin.bytes.size() <= held_in_memory) {
    auto piece = co_await source.read();
    if (!piece)
      co_return piece.error();
    if (piece->empty()) {
      begin.complete = true;
      break;
    }
    begin.bytes.append(*piece);
  }
  co_return begin;
}

io_task<result<bool>> rest_is_utf8(std::string_view begin, byte_source& source) {
  codec::utf8_checker checker;
  for (auto good = checker.feed(begin); good;) {
    auto piece = co_await source.read();
    if (!piece)
      co_return piece.error();
    if (piece->empty())
      co_return checker.finish();
    good = checker.feed(*piece);
  }
  co_return false;
}

io_task<result<void>> send_small(exchange& ex, const file_info& info, std::string bytes, bool base64) {
  base64 = base64 || !codec::is_utf8(bytes);
  std::string body = "{\"content\":\"";
  if (base64)
    body += codec::base64_encode(bytes);
  else
    codec::append_json_escaped(body, bytes);
  body += tail_of_read(info, base64 ? "base64" : "utf-8", bytes.size());
  co_await ex.reply_bytes(200, "application/json", std::move(body));
  co_return answered();
}

/// Sends a file in pieces. It may change while it is read: text that is no text any more cuts the answer,
/// visibly.
io_task<void> send_large(exchange& ex, open_file file, bool base64) {
  auto sent = co_await ex.begin_stream(200, "application/json", std::nullopt);
  if (sent)
    sent = co_await ex.write("{\"content\":\"");
  codec::utf8_checker checker;
  codec::base64_encoder encoder;
  std::uint64_t size = 0;
  std::string out;
  while (sent) {
    auto piece = co_await file.bytes->read();
    if (!piece)
      co_return;
    size += piece->size();
    out.clear();
    if (piece->empty()) {
      if (base64)
        encoder.finish(out);
      else if (!checker.finish())
        co_return;
      out += tail_of_read(file.info, base64 ? "base64" : "utf-8", size);
      sent = co_await ex.write(out);
      if (sent)
        co_await ex.end_stream();
      co_return;
    }
    if (base64)
      encoder.feed(out, *piece);
    else if (!checker.feed(*piece))
      co_return;
    else
      codec::append_json_escaped(out, *piece);
    ex.server().metrics.guest_bytes(metrics::direction::out, piece->size());
    sent = co_await ex.write(out);
  }
}

enum class read_form { automatic, base64, raw };

result<read_form> wanted_form(const exchange& ex) {
  auto raw = query_flag(ex, "raw");
  if (!raw)
    return raw.error();
  auto encoding = codec::lower(ex.query("encoding").value_or(""));
  if (raw->value_or(false) || encoding == "raw" || encoding == "binary")
    return read_form::raw;
  if (encoding == "base64")
    return read_form::base64;
  if (!encoding.empty() && encoding != "utf-8" && encoding != "utf8" && encoding != "text")
    return fail(errc::invalid_argument, "encoding must be utf-8, base64 or raw");
  auto octets = encoding.empty() && codec::accepts(ex.header("Accept"), "application/octet-stream");
  return octets ? read_form::raw : read_form::automatic;
}

io_task<result<void>> read(exchange& ex) {
  auto path = query_path(ex);
  if (!path)
    co_return path.error();
  auto form = wanted_form(ex);
  if (!form)
    co_return form.error();
  auto io = co_await open_io(ex);
  if (!io)
    co_return io.error();
  auto file = co_await soon(ex, (*io)->read_file(*path, 0, 0));
  if (!file)
    co_return file.error();
  if (*form == read_form::raw) {
    auto sent = co_await send_raw(ex, std::move(*file), "application/octet-stream", {});
    co_return sent;
  }
  auto base64 = *form == read_form::base64;
  auto begin = co_await read_begin(*file->bytes);
  if (!begin)
    co_return begin.error();
  if (begin->complete) {
    ex.server().metrics.guest_bytes(metrics::direction::out, begin->bytes.size());
    auto sent = co_await send_small(ex, file->info, std::move(begin->bytes), base64);
    co_return sent;
  }
  if (!base64) {
    auto text = co_await rest_is_utf8(begin->bytes, *file->bytes);
    if (!text)
      co_return text.error();
    base64 = !*text;
  }
  *begin = {};
  auto again = co_await soon(ex, (*io)->read_file(std::move(*path), 0, 0));
  if (!again)
    co_return again.error();
  co_await send_large(ex, std::move(*again), base64);
  co_return answered();
}

// -- list
// -------------------------------------------------------------------------------------------------------------

io_task<result<void>> list(exchange& ex) {
  auto path = query_directory(ex);
  if (!path)
    co_return path.error();
  auto recursive = query_flag(ex, "recursive");
  if (!recursive)
    co_return recursive.error();
  auto all = query_flag(ex, "all");
  if (!all)
    co_return all.error();
  auto io = co_await open_io(ex);
  if (!io)
    co_return io.error();
  list_options options;
  options.path = *path;
  options.recursive = recursive->value_or(true);
  options.skip_dependencies = !all->value_or(false);
  auto entries = co_await soon(ex, (*io)->list(std::move(options)));
  if (!entries)
    co_return entries.error();
  auto body = codec::list_json(*path, std::move(*entries));
  co_await ex.reply(200, body);
  co_return answered();
}

} // namespace

void add_file_routes(std::vector<route>& table) {
  table.insert(table.end(), {{"POST", "/api/sandboxes/{id}/files/write", answer<write>},
                             {"GET", "/api/sandboxes/{id}/files/read", answer<read>},
                             {"GET", "/api/sandboxes/{id}/files/list", answer<list>}});
}

} // namespace sandy::http::routes
