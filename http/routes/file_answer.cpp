#include "http/routes/file_answer.hpp"

#include "http/codec/fields.hpp"
#include "http/codec/header_values.hpp"
#include "http/codec/time_format.hpp"
#include "http/errors.hpp"
#include "http/routes/file_bytes.hpp"

#include <charconv>
#include <optional>

namespace sandy::http::routes {

namespace {

/// Changes when the file does, as far as its size and time tell: that is all that "weak" promises.
std::string entity_tag(const file_info& info) {
  char text[40];
  auto* end = std::to_chars(text, text + 20, static_cast<std::uint64_t>(info.modified_at), 16).ptr;
  *end++ = '-';
  end = std::to_chars(end, text + sizeof text, info.size, 16).ptr;
  return "W/\"" + std::string{text, end} + "\"";
}

bool same_version(const file_info& a, const file_info& b) {
  return a.size == b.size && a.modified_at == b.modified_at;
}

header_list file_headers(const file_info& info) {
  return {{"Accept-Ranges", "bytes"},
          {"ETag", entity_tag(info)},
          {"Last-Modified", codec::http_date(info.modified_at)}};
}

/// The range wanted, unless `If-Range` says that it was meant for another version.
result<std::optional<codec::byte_range>> wanted_range(const exchange& ex, const file_info& info) {
  auto condition = codec::trim(ex.header("If-Range"));
  // Our tags are weak, and those never match here (RFC 9110, section 13.1.5): only the date can.
  if (!condition.empty() && condition != codec::http_date(info.modified_at))
    return std::optional<codec::byte_range>{};
  return codec::parse_range(ex.header("Range"), info.size);
}

io_task<result<void>> send_unsatisfiable(exchange& ex, const file_info& info, const caf::error& err) {
  header_list extra{{"Content-Range", "bytes */" + std::to_string(info.size)}};
  co_await ex.reply_bytes(416, "application/json", error_body(err), std::move(extra));
  co_return answered();
}

io_task<result<void>> send_range(exchange& ex, sandbox_io& io, std::string path, const file_info& info,
                                 codec::byte_range range, std::string_view type, header_list extra) {
  auto part = co_await soon(ex, io.read_file(std::move(path), range.first, range.length));
  if (!part)
    co_return part.error();
  if (!same_version(part->info, info))
    co_return fail(errc::conflict, "The file changed while it was read");
  extra.emplace_back("Content-Range", "bytes " + std::to_string(range.first) + "-" +
                                          std::to_string(range.first + range.length - 1) + "/" +
                                          std::to_string(info.size));
  auto begun = co_await ex.begin_stream(206, type, range.length, std::move(extra));
  if (begun)
    co_await copy_to_client(ex, *part->bytes, range.length);
  co_return answered();
}

io_task<result<void>> send_whole(exchange& ex, sandbox_io& io, std::string path, open_file file,
                                 std::string_view type, header_list extra) {
  if (ex.method() == "HEAD") {
    auto begun = co_await ex.begin_stream(200, type, file.info.size, std::move(extra));
    if (begun)
      co_await ex.end_stream();
    co_return answered();
  }
  if (!file.bytes) {
    auto again = co_await soon(ex, io.read_file(std::move(path), 0, 0));
    if (!again)
      co_return again.error();
    if (!same_version(again->info, file.info))
      co_return fail(errc::conflict, "The file changed while it was read");
    file = std::move(*again);
  }
  auto sent = co_await send_raw(ex, std::move(file), type, std::move(extra));
  co_return sent;
}

} // namespace

io_task<result<void>> answer_with_file(exchange& ex, sandbox_io& io, std::string path, open_file file,
                                       std::string_view type, header_list extra) {
  const auto info = file.info;
  for (auto& field : file_headers(info))
    extra.push_back(std::move(field));
  if (auto known = codec::trim(ex.header("If-None-Match")); !known.empty() && known == entity_tag(info)) {
    co_await ex.reply_bytes(304, type, {}, std::move(extra));
    co_return answered();
  }
  auto range = wanted_range(ex, info);
  if (!range) {
    auto sent = co_await send_unsatisfiable(ex, info, range.error());
    co_return sent;
  }
  if (*range && ex.method() != "HEAD") { // a range of HEAD has no meaning
    auto sent = co_await send_range(ex, io, std::move(path), info, **range, type, std::move(extra));
    co_return sent;
  }
  auto sent = co_await send_whole(ex, io, std::move(path), std::move(file), type, std::move(extra));
  co_return sent;
}

} // namespace sandy::http::routes
