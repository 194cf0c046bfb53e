#include "http/codec/files.hpp"

#include "http/codec/fields.hpp"
#include "http/codec/time_format.hpp"
#include "http/codec/utf8.hpp"

#include <algorithm>

namespace sandy::http::codec {

namespace {

using nlohmann::json;

std::string kind_word(file_kind kind) {
  switch (kind) {
  case file_kind::regular:
    return "file";
  case file_kind::directory:
    return "directory";
  case file_kind::symlink:
    return "symlink";
  case file_kind::other:
    return "other";
  }
  return "other";
}

std::string octal(std::uint32_t mode) {
  std::string out = "0000";
  for (std::size_t i = 4; i-- > 0; mode >>= 3)
    out[i] = static_cast<char>('0' + (mode & 7));
  return out;
}

/// The required path under these spellings.
std::string required_path(field_reader& fields, spellings names) {
  auto path = fields.path(names);
  if (!path)
    fields.missing(*names.begin());
  return path.value_or("");
}

} // namespace

result<mkdir_request> parse_mkdir(const json& body) {
  mkdir_request request;
  field_reader fields{body};
  request.path = required_path(fields, {"path"});
  request.mode = fields.mode({"mode"}).value_or(request.mode);
  if (fields.failed())
    return fields.error();
  return request;
}

result<move_request> parse_move(const json& body) {
  move_request request;
  field_reader fields{body};
  request.from = required_path(fields, {"from", "source", "src"});
  request.to = required_path(fields, {"to", "destination", "dst"});
  request.overwrite = fields.boolean({"overwrite"}).value_or(false);
  if (fields.failed())
    return fields.error();
  return request;
}

result<bool> parse_archive_format(std::string_view format) {
  auto word = lower(trim(format));
  if (word.empty() || word == "tar")
    return false;
  if (word == "tgz" || word == "tar.gz" || word == "gzip" || word == "gz")
    return true;
  return fail(errc::invalid_argument, "format must be tar or tgz");
}

result<archive_request> parse_archive(const json& body) {
  archive_request request;
  field_reader fields{body};
  request.path = fields.path({"path"}).value_or("/workspace");
  auto format = fields.text({"format"}).value_or("tar");
  if (fields.failed())
    return fields.error();
  auto gzip = parse_archive_format(format);
  if (!gzip)
    return gzip.error();
  request.gzip = *gzip;
  return request;
}

json to_json(const file_info& info) {
  auto modified = iso_time(info.modified_at);
  return {{"path", repair_utf8(info.path)},
          {"type", kind_word(info.kind)},
          {"size", info.size},
          {"mode", octal(info.mode)},
          {"modifiedAt", modified},
          {"modified_at", modified},
          {"target", info.kind == file_kind::symlink ? json(repair_utf8(info.target)) : json()}};
}

json list_json(const std::string& path, std::vector<file_info> entries) {
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  auto files = json::array();
  auto all = json::array();
  for (const auto& info : entries) {
    if (info.kind != file_kind::directory)
      files.push_back(repair_utf8(info.path));
    all.push_back(to_json(info));
  }
  return {{"path", repair_utf8(path)}, {"files", std::move(files)}, {"entries", std::move(all)}};
}

json to_json(const watch_event& event) {
  return {{"kind", event.kind},
          {"path", repair_utf8(event.path)},
          {"from", event.from.empty() ? json() : json(repair_utf8(event.from))},
          {"directory", event.directory}};
}

json done_json(const std::string& path) { return {{"success", true}, {"path", repair_utf8(path)}}; }

} // namespace sandy::http::codec
