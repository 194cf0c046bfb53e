#include "http/routes/routes.hpp"

#include "http/codec/fields.hpp"
#include "http/codec/files.hpp"
#include "http/codec/header_values.hpp"
#include "http/routes/common.hpp"
#include "http/routes/file_answer.hpp"
#include "http/routes/sha256.hpp"
#include "metrics/registry.hpp"

#include <nlohmann/json.hpp>

#include <optional>

// Files as bytes: upload and download of any size, nothing held in memory.

namespace sandy::http::routes {

namespace {

constexpr std::string_view octets = "application/octet-stream";

io_task<result<std::string>> digest_of(byte_source& source) {
  sha256 digest;
  for (;;) {
    auto piece = co_await source.read();
    if (!piece)
      co_return piece.error();
    if (piece->empty())
      co_return digest.hex();
    digest.update(*piece);
  }
}

/// A file that was opened, and its digest where the client wants it: then its bytes were read, and are gone.
struct described_file {
  open_file file;
  std::optional<std::string> sha256;
};

io_task<result<described_file>> describe(exchange& ex, sandbox_io& io, std::string path, bool with_digest) {
  auto file = co_await soon(ex, io.read_file(std::move(path), 0, 0));
  if (!file)
    co_return file.error();
  described_file described{std::move(*file), std::nullopt};
  if (with_digest) {
    auto digest = co_await digest_of(*described.file.bytes);
    if (!digest)
      co_return digest.error();
    described.sha256 = std::move(*digest);
    described.file.bytes = nullptr;
  }
  co_return described;
}

io_task<result<void>> download(exchange& ex) {
  auto path = query_path(ex);
  if (!path)
    co_return path.error();
  auto with_digest = query_flag(ex, "sha256");
  if (!with_digest)
    co_return with_digest.error();
  auto io = co_await open_io(ex);
  if (!io)
    co_return io.error();
  auto described = co_await describe(ex, **io, *path, with_digest->value_or(false));
  if (!described)
    co_return described.error();
  header_list extra;
  if (described->sha256)
    extra.emplace_back("X-Content-SHA256", *described->sha256);
  auto sent = co_await answer_with_file(ex, **io, std::move(*path), std::move(described->file), octets,
                                        std::move(extra));
  co_return sent;
}

/// Path, mode and announced digest of an upload, all checked before a byte is read.
struct upload_request {
  write_options options;
  std::optional<std::string> sha256;
};

result<upload_request> read_upload(const exchange& ex) {
  if (!ex.header("Content-Range").empty())
    return fail(errc::invalid_argument, "Content-Range is not supported: a file is replaced as a whole");
  auto path = query_path(ex);
  if (!path)
    return path.error();
  upload_request request;
  request.options.path = std::move(*path);
  if (auto text = ex.query("mode")) {
    auto mode = codec::octal_mode(*text);
    if (!mode)
      return fail(errc::invalid_argument, "mode must be permission bits, such as 0644");
    request.options.mode = *mode;
    request.options.keep_mode = false;
  }
  auto field = ex.header("Repr-Digest").empty() ? ex.header("Content-Digest") : ex.header("Repr-Digest");
  auto digest = codec::announced_sha256(ex.header("X-Content-SHA256"), field);
  if (!digest)
    return digest.error();
  request.sha256 = std::move(*digest);
  return request;
}

io_task<result<void>> upload(exchange& ex) {
  auto request = read_upload(ex);
  if (!request)
    co_return request.error();
  auto io = co_await open_io(ex);
  if (!io)
    co_return io.error();
  auto sink = co_await soon(ex, (*io)->write_file(std::move(request->options)));
  if (!sink)
    co_return sink.error();
  sha256 digest;
  for (;;) {
    auto piece = co_await ex.read_some();
    if (!piece)
      co_return piece.error(); // the sink goes, and the file stays as it was
    if (piece->empty())
      break;
    digest.update(*piece);
    auto written = co_await (*sink)->write(*piece);
    if (!written)
      co_return written;
    ex.server().metrics.guest_bytes(metrics::direction::in, piece->size());
  }
  auto hex = digest.hex();
  if (request->sha256 && *request->sha256 != hex)
    co_return fail(errc::digest_mismatch,
                   "The bytes received do not have the announced SHA-256; nothing was written");
  auto info = co_await soon(ex, (*sink)->commit(false));
  if (!info)
    co_return info.error();
  auto body = codec::done_json(info->path);
  body["size"] = info->size;
  body["sha256"] = hex;
  co_await ex.reply(200, body);
  co_return answered();
}

io_task<result<void>> remove(exchange& ex) {
  auto path = query_path(ex);
  if (!path)
    co_return path.error();
  auto recursive = query_flag(ex, "recursive");
  if (!recursive)
    co_return recursive.error();
  auto io = co_await open_io(ex);
  if (!io)
    co_return io.error();
  // A large tree takes as long as a command that removes it.
  auto removed =
      co_await within((*io)->remove(*path, recursive->value_or(false)), ex.server().limits.exec_timeout);
  if (!removed)
    co_return removed;
  co_await ex.reply(200, codec::done_json(*path));
  co_return answered();
}

} // namespace

void add_raw_file_routes(std::vector<route>& table) {
  table.insert(table.end(),
               {{"GET", "/api/sandboxes/{id}/files", answer<download>, false, request_cost::stream},
                {"PUT", "/api/sandboxes/{id}/files", answer<upload>, false, request_cost::stream},
                {"DELETE", "/api/sandboxes/{id}/files", answer<remove>}});
}

} // namespace sandy::http::routes
