#include "http/routes/routes.hpp"

#include "http/codec/exec.hpp"
#include "http/codec/header_values.hpp"
#include "http/routes/common.hpp"
#include "http/routes/event_pump.hpp"
#include "http/routes/process_events.hpp"

#include <nlohmann/json.hpp>

#include <limits>

namespace sandy::http::routes {

namespace {

result<std::uint32_t> named_process(const exchange& ex) {
  auto id = codec::parse_count(ex.param("pid"));
  if (!id || *id > std::numeric_limits<std::uint32_t>::max())
    return fail(errc::process_not_found, "Process not found");
  return static_cast<std::uint32_t>(*id);
}

/// What both parts of the path name.
struct target {
  std::shared_ptr<sandbox_io> io;
  std::uint32_t process = 0;
};

io_task<result<target>> open_target(exchange& ex) {
  auto io = co_await open_io(ex);
  if (!io)
    co_return io.error();
  auto process = named_process(ex);
  if (!process)
    co_return process.error();
  co_return target{std::move(*io), *process};
}

io_task<result<void>> list(exchange& ex) {
  auto io = co_await open_io(ex);
  if (!io)
    co_return io.error();
  auto all = co_await soon(ex, (*io)->processes());
  if (!all)
    co_return all.error();
  co_await ex.reply(200, codec::to_json(*all));
  co_return answered();
}

io_task<result<void>> get(exchange& ex) {
  auto at = co_await open_target(ex);
  if (!at)
    co_return at.error();
  auto info = co_await soon(ex, at->io->process(at->process));
  if (!info)
    co_return info.error();
  co_await ex.reply(200, codec::to_json(*info));
  co_return answered();
}

/// Where to begin: where a client that reconnects left off, else where it asks to.
result<std::uint64_t> first_offset(const exchange& ex) {
  auto text = std::string{ex.header("Last-Event-ID")};
  if (text.empty())
    text = ex.query("offset").value_or("");
  if (text.empty())
    return std::uint64_t{0};
  auto offset = codec::parse_count(text);
  if (!offset)
    return fail(errc::invalid_argument, "offset must be a number of bytes");
  return *offset;
}

io_task<result<void>> output(exchange& ex) {
  auto offset = first_offset(ex);
  if (!offset)
    co_return offset.error();
  auto follow = query_flag(ex, "follow");
  if (!follow)
    co_return follow.error();
  auto at = co_await open_target(ex);
  if (!at)
    co_return at.error();
  // An unknown process is an answer of its own, not an event of a stream that has begun.
  auto known = co_await soon(ex, at->io->process(at->process));
  if (!known)
    co_return known.error();
  auto stream = co_await at->io->output(at->process, *offset, follow->value_or(true));
  if (!stream)
    co_return stream.error();
  process_event_text format;
  co_await send_events(ex, **stream, format);
  co_return answered();
}

/// A body of any size goes to the process as fast as it reads.
io_task<result<void>> pass_body(exchange& ex, target at, bool close) {
  std::uint64_t total = 0;
  for (;;) {
    auto piece = co_await ex.read_some();
    if (!piece)
      co_return piece.error();
    auto last = piece->empty();
    if (last && !close)
      break;
    total += piece->size();
    auto written = co_await while_there(ex, at.io->write_stdin(at.process, std::move(*piece), last && close));
    if (!written)
      co_return written.error();
    if (last)
      break;
  }
  nlohmann::json done{{"success", true}, {"written", total}, {"closed", close}};
  co_await ex.reply(200, done);
  co_return answered();
}

io_task<result<void>> write_stdin(exchange& ex) {
  auto type = codec::media_type(ex.header("Content-Type"));
  if (type == "application/octet-stream") {
    auto close = query_flag(ex, "close");
    if (!close)
      co_return close.error();
    auto at = co_await open_target(ex);
    if (!at)
      co_return at.error();
    auto passed = co_await pass_body(ex, std::move(*at), close->value_or(false));
    co_return passed;
  }
  auto body = co_await read_json(ex);
  if (!body)
    co_return body.error();
  auto request = codec::parse_stdin(*body);
  if (!request)
    co_return request.error();
  auto at = co_await open_target(ex);
  if (!at)
    co_return at.error();
  auto size = request->bytes.size();
  auto written =
      co_await while_there(ex, at->io->write_stdin(at->process, std::move(request->bytes), request->close));
  if (!written)
    co_return written.error();
  nlohmann::json done{{"success", true}, {"written", size}, {"closed", request->close}};
  co_await ex.reply(200, done);
  co_return answered();
}

io_task<result<void>> send_signal(exchange& ex) {
  auto body = co_await read_json(ex);
  if (!body)
    co_return body.error();
  auto request = codec::parse_signal(*body);
  if (!request)
    co_return request.error();
  auto at = co_await open_target(ex);
  if (!at)
    co_return at.error();
  auto sent = co_await soon(ex, at->io->signal(at->process, request->signal, request->tree));
  if (!sent)
    co_return sent.error();
  nlohmann::json done{{"success", true}, {"pid", at->process}, {"signal", request->signal}};
  co_await ex.reply(200, done);
  co_return answered();
}

} // namespace

void add_process_routes(std::vector<route>& table) {
  table.insert(table.end(), {{"GET", "/api/sandboxes/{id}/processes", answer<list>},
                             {"GET", "/api/sandboxes/{id}/processes/{pid}", answer<get>},
                             {"GET", "/api/sandboxes/{id}/processes/{pid}/output", answer<output>, false,
                              request_cost::stream},
                             {"POST", "/api/sandboxes/{id}/processes/{pid}/stdin", answer<write_stdin>, false,
                              request_cost::stream},
                             {"POST", "/api/sandboxes/{id}/processes/{pid}/signal", answer<send_signal>}});
}

} // namespace sandy::http::routes
