#include "http/ingress/artifacts.hpp"

#include "http/context.hpp"
#include "http/request_head.hpp"
#include "http/routes/file_answer.hpp"
#include "http/target.hpp"

#include <algorithm>
#include <deque>
#include <utility>
#include <vector>

namespace sandy::http::ingress {

namespace {

constexpr std::string_view prefix = "/artifacts/";
constexpr std::string_view directory = "/workspace/artifacts";
// Links that lead to links; the kernel follows 40.
constexpr int most_links = 8;

caf::error no_such_file() { return fail(errc::file_not_found, "File not found"); }

/// Whatever is wrong with a file, nobody is told more than that there is none.
caf::error not_found(caf::error why) {
  return code_of(why) == errc::deadline_exceeded ? std::move(why) : no_such_file();
}

std::vector<std::string> parts_of(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    auto end = std::min(path.find('/'), path.size());
    if (auto part = path.substr(0, end); !part.empty() && part != ".")
      parts.emplace_back(part);
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return parts;
}

/// Follows the links on the way to a file and refuses those that lead out of the directory. A program of the
/// sandbox could change one meanwhile; then the sandbox publishes a file of its own.
io_task<result<std::string>> resolve(exchange& ex, std::shared_ptr<sandbox_io> io, std::string relative) {
  auto base = co_await routes::soon(ex, io->stat(std::string{directory}));
  if (!base)
    co_return not_found(std::move(base.error()));
  if (base->kind != file_kind::directory)
    co_return no_such_file();
  auto first = parts_of(relative);
  std::deque<std::string> ahead{first.begin(), first.end()};
  std::vector<std::string> done;
  for (auto links = 0; !ahead.empty();) {
    auto part = std::move(ahead.front());
    ahead.pop_front();
    if (part == "..") {
      if (done.empty())
        co_return no_such_file();
      done.pop_back();
      continue;
    }
    std::string path{directory};
    for (const auto& each : done)
      path.append("/").append(each);
    path.append("/").append(part);
    auto info = co_await routes::soon(ex, io->stat(std::move(path)));
    if (!info)
      co_return not_found(std::move(info.error()));
    if (info->kind == file_kind::directory || (info->kind == file_kind::regular && ahead.empty())) {
      done.push_back(std::move(part));
      continue;
    }
    if (info->kind != file_kind::symlink)
      co_return no_such_file();
    std::string_view target = info->target;
    if (++links > most_links)
      co_return no_such_file();
    if (target.starts_with('/')) {
      if (!target.starts_with(directory) || !target.substr(directory.size()).starts_with('/'))
        co_return no_such_file();
      target.remove_prefix(directory.size());
      done.clear();
    }
    auto more = parts_of(target);
    ahead.insert(ahead.begin(), more.begin(), more.end());
  }
  std::string path{directory};
  for (const auto& each : done)
    path.append("/").append(each);
  co_return path;
}

io_task<result<void>> send_artifact(exchange& ex, sandbox_id id, std::string relative, bool below_api) {
  header_list everybody{{"Access-Control-Allow-Origin", "*"}};
  if (below_api)
    everybody.emplace_back("Content-Security-Policy", page_policy);
  if (ex.method() == "OPTIONS") {
    everybody.emplace_back("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS");
    everybody.emplace_back("Access-Control-Allow-Headers", "*");
    co_await ex.reply_bytes(204, {}, {}, std::move(everybody));
    co_return caf::unit;
  }
  auto io = ex.server().data.find(id);
  if (!io)
    co_return fail(errc::sandbox_not_found, "Sandbox not found");
  auto path = co_await resolve(ex, io, std::move(relative));
  if (!path)
    co_return std::move(path.error());
  auto file = co_await routes::soon(ex, io->read_file(*path, 0, 0));
  if (!file)
    co_return not_found(std::move(file.error()));
  auto type = media_type_of(*path);
  if (file->info.size == 0 && file->info.kind == file_kind::regular) {
    co_await ex.reply_bytes(200, type, {}, std::move(everybody));
    co_return caf::unit;
  }
  auto sent = co_await routes::answer_with_file(ex, *io, std::move(*path), std::move(*file), type,
                                                std::move(everybody));
  co_return sent;
}

/// The same request, to another port.
destination to_port(const destination& where, std::uint16_t port) {
  const auto& to = where.guest.to;
  return {visit{to, runtime::guest_use{to->uses}}, port, where.request};
}

/// Tries one port. @returns whether it answered; false: nothing listens, or it says 404 and may be `passed
/// over`.
io_task<result<bool>> try_port(exchange& ex, destination where, bool passed_over) {
  forwarding attempt{ex, std::move(where)};
  auto asked = co_await attempt.ask();
  if (!asked && !attempt.reached())
    co_return false;
  if (!asked)
    co_return std::move(asked.error());
  if (passed_over && attempt.status() == 404)
    co_return false;
  co_await attempt.pass_back();
  co_return true;
}

} // namespace

io_task<result<void>> forward_or_artifact(exchange& ex, destination where) {
  const auto& head = ex.head();
  const auto named = is_artifact(where.request.target);
  const auto plain = ex.method() == "GET" || ex.method() == "HEAD" || ex.method() == "OPTIONS";
  if (!named || !plain || head.chunked || head.content_length.value_or(0) > 0 || wants_upgrade(head)) {
    auto outcome = co_await forward(ex, std::move(where));
    co_return outcome;
  }
  const auto& to = *where.guest.to;
  if (to.artifact_port != where.port &&
      std::ranges::find(to.private_ports, to.artifact_port) == to.private_ports.end()) {
    auto answered = co_await try_port(ex, to_port(where, to.artifact_port), false);
    if (!answered || *answered)
      co_return answered ? result<void>{caf::unit} : std::move(answered.error());
  }
  auto answered = co_await try_port(ex, to_port(where, where.port), true);
  if (!answered || *answered)
    co_return answered ? result<void>{caf::unit} : std::move(answered.error());
  auto relative = artifact_path(where.request.target);
  if (!relative)
    co_return no_such_file();
  auto sent = co_await send_artifact(ex, to.id, std::move(*relative), where.request.below_api);
  co_return sent;
}

bool is_artifact(std::string_view target) noexcept {
  auto path = target.substr(0, target.find('?'));
  return path.starts_with(prefix) || path == prefix.substr(0, prefix.size() - 1);
}

std::optional<std::string> artifact_path(std::string_view target) {
  if (!target.starts_with(prefix))
    return std::nullopt;
  auto raw = target.substr(prefix.size());
  raw = raw.substr(0, raw.find('?'));
  std::string path;
  if (!append_decoded(path, raw, false) || path.empty() || path.size() > 4000 ||
      path.find('\0') != std::string::npos)
    return std::nullopt;
  auto parts = parts_of(path);
  if (parts.empty() || std::ranges::find(parts, "..") != parts.end())
    return std::nullopt;
  return path;
}

std::string_view media_type_of(std::string_view path) noexcept {
  static constexpr std::pair<std::string_view, std::string_view> types[]{
      {".html", "text/html; charset=utf-8"},
      {".htm", "text/html; charset=utf-8"},
      {".css", "text/css; charset=utf-8"},
      {".js", "text/javascript; charset=utf-8"},
      {".mjs", "text/javascript; charset=utf-8"},
      {".json", "application/json"},
      {".map", "application/json"},
      {".txt", "text/plain; charset=utf-8"},
      {".log", "text/plain; charset=utf-8"},
      {".md", "text/markdown; charset=utf-8"},
      {".csv", "text/csv; charset=utf-8"},
      {".xml", "application/xml"},
      {".yaml", "application/yaml"},
      {".yml", "application/yaml"},
      {".pdf", "application/pdf"},
      {".png", "image/png"},
      {".jpg", "image/jpeg"},
      {".jpeg", "image/jpeg"},
      {".gif", "image/gif"},
      {".webp", "image/webp"},
      {".avif", "image/avif"},
      {".svg", "image/svg+xml"},
      {".ico", "image/x-icon"},
      {".mp4", "video/mp4"},
      {".webm", "video/webm"},
      {".mp3", "audio/mpeg"},
      {".wav", "audio/wav"},
      {".ogg", "audio/ogg"},
      {".wasm", "application/wasm"},
      {".woff", "font/woff"},
      {".woff2", "font/woff2"},
      {".ttf", "font/ttf"},
      {".zip", "application/zip"},
      {".gz", "application/gzip"},
      {".tgz", "application/gzip"},
      {".tar", "application/x-tar"},
      {".docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
      {".xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
      {".pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"}};
  auto dot = path.rfind('.');
  if (dot == std::string_view::npos)
    return "application/octet-stream";
  auto ending = path.substr(dot);
  for (const auto& [end, type] : types)
    if (std::ranges::equal(ending, end,
                           [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a | 0x20 : a) == b; }))
      return type;
  return "application/octet-stream";
}

} // namespace sandy::http::ingress
