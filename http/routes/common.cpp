#include "http/routes/common.hpp"

#include "http/codec/fields.hpp"
#include "http/codec/utf8.hpp"

#include <nlohmann/json.hpp>

namespace sandy::http::routes {

namespace {

constexpr std::size_t escape_piece = 64 * 1024;

} // namespace

result<sandbox_id> named_sandbox(const exchange& ex) {
  auto id = ex.param("id");
  if (!is_sandbox_id(id))
    return no_such_sandbox();
  return sandbox_id{std::string{id}};
}

result<void> must_be_admin(const exchange& ex) {
  if (!ex.caller().admin)
    return fail(errc::forbidden, "This needs an administrator's key");
  return caf::unit;
}

io_task<result<std::shared_ptr<sandbox_io>>> open_io(exchange& ex) {
  auto id = named_sandbox(ex);
  if (!id)
    co_return id.error();
  auto& server = ex.server();
  auto opened = co_await ask(server.worker, open_sandbox{ex.caller(), *id}, server.limits.control_timeout);
  if (!opened)
    co_return opened.error();
  auto io = server.data.find(*id);
  if (!io) // it ended between the two
    co_return no_such_sandbox();
  co_return io;
}

io_task<result<nlohmann::json>> read_json(exchange& ex) {
  auto text = co_await ex.read_body(ex.server().limits.json_body_bytes);
  if (!text)
    co_return text.error();
  co_return codec::parse_object(*text);
}

result<std::optional<bool>> query_flag(const exchange& ex, std::string_view name) {
  auto value = ex.query(name);
  if (!value)
    return std::optional<bool>{};
  auto truth = codec::loose_boolean(*value);
  if (!truth)
    return fail(errc::invalid_argument, std::string{name} + " must be true or false");
  return truth;
}

result<std::string> query_path(const exchange& ex) {
  auto path = ex.query("path");
  if (!path)
    return fail(errc::validation_failed, "path is required");
  if (auto err = codec::check_path(*path, "path"))
    return err;
  return *path;
}

result<std::string> query_directory(const exchange& ex) {
  auto path = ex.query("path");
  if (!path || path->empty())
    return std::string{"/workspace"};
  return query_path(ex);
}

io_task<void> pause(std::chrono::milliseconds time) {
  auto executor = co_await boost::asio::this_coro::executor;
  io_timer timer{executor, time};
  co_await timer.async_wait(use_io);
}

io_task<void> long_gone(exchange& ex) {
  co_await ex.hang_up();
  co_await pause(ex.server().limits.departure_grace);
}

io_task<result<void>> write_escaped(exchange& ex, std::string_view text) {
  std::string piece;
  while (!text.empty()) {
    piece.clear();
    codec::append_json_escaped(piece, text.substr(0, escape_piece));
    text.remove_prefix(std::min(escape_piece, text.size()));
    auto sent = co_await ex.write(piece);
    if (!sent)
      co_return sent;
  }
  co_return caf::unit;
}

header_list event_stream_headers() { return {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}}; }

} // namespace sandy::http::routes
