#include "http/routes/routes.hpp"

#include "http/codec/exec.hpp"
#include "http/codec/header_values.hpp"
#include "http/errors.hpp"
#include "http/routes/command_result.hpp"
#include "http/routes/common.hpp"
#include "http/routes/event_pump.hpp"
#include "http/routes/process_events.hpp"
#include "metrics/registry.hpp"

#include <nlohmann/json.hpp>

#include <utility>

namespace sandy::http::routes {

namespace {

using metrics::exec_outcome;

/// Passes on why a command could not start. Clients read 403 and 404 as being about the sandbox or their key:
/// a bad working directory is a bad request.
io_task<result<void>> refuse_start(exchange& ex, caf::error err) {
  switch (code_of(err)) {
  case errc::file_not_found:
  case errc::not_a_directory:
  case errc::permission_denied:
    co_await ex.reply_bytes(400, "application/json", error_body(err));
    break;
  default:
    co_await ex.reply_error(err);
  }
  co_return answered();
}

/// The answer comes when the command has ended. A client that hangs up does not stop it: clients repeat a
/// command after a broken connection, and half of an installation is worse than two.
io_task<result<void>> run_whole(exchange& ex, std::shared_ptr<sandbox_io> io, process_spec spec) {
  auto& server = ex.server();
  bool started = false;
  auto all =
      co_await run_command(server, std::move(io), std::move(spec), server.limits.exec_output_bytes, started);
  if (!all && !started) {
    auto refused = co_await refuse_start(ex, all.error());
    co_return refused;
  }
  if (!all)
    co_return all.error();
  co_await send_result(ex, std::move(*all));
  co_return answered();
}

/// A stream that counts what it sees, however its reader ends.
class counted_stream {
public:
  counted_stream(std::unique_ptr<process_stream> stream, context& server)
      : stream_(std::move(stream))
      , server_(server) {}
  counted_stream(const counted_stream&) = delete;
  counted_stream& operator=(const counted_stream&) = delete;
  ~counted_stream() {
    if (!ended_)
      server_.metrics.exec_finished(exec_outcome::disconnected, 0);
  }
  io_task<result<process_event>> next() {
    auto event = co_await stream_->next();
    if (!event) {
      ended_ = true;
      server_.metrics.exec_finished(exec_outcome::lost, 0);
    } else if (auto* exit = std::get_if<process_exit>(&*event)) {
      ended_ = true;
      count_exit(server_, *exit);
    }
    co_return event;
  }

private:
  std::unique_ptr<process_stream> stream_;
  context& server_;
  bool ended_ = false;
};

/// The answer is the output as it comes. A client that hangs up takes the command along.
io_task<result<void>> run_stream(exchange& ex, std::shared_ptr<sandbox_io> io, process_spec spec) {
  spec.kill_on_disconnect = true;
  auto stream = co_await io->exec(std::move(spec));
  if (!stream) {
    ex.server().metrics.exec_finished(exec_outcome::failed, 0);
    auto refused = co_await refuse_start(ex, stream.error());
    co_return refused;
  }
  counted_stream counted{std::move(*stream), ex.server()};
  process_event_text format;
  co_await send_events(ex, counted, format);
  co_return answered();
}

io_task<result<void>> run_background(exchange& ex, std::shared_ptr<sandbox_io> io, process_spec spec) {
  auto info = co_await soon(ex, io->start(std::move(spec)));
  if (!info) {
    ex.server().metrics.exec_finished(exec_outcome::failed, 0);
    auto refused = co_await refuse_start(ex, info.error());
    co_return refused;
  }
  co_await ex.reply(200, codec::to_json(*info));
  co_return answered();
}

io_task<result<void>> exec(exchange& ex) {
  auto body = co_await read_json(ex);
  if (!body)
    co_return body.error();
  auto request = codec::parse_exec(*body, ex.server().limits.exec_timeout);
  if (!request)
    co_return request.error();
  *body = nullptr; // it may hold megabytes, and the command may run for hours
  auto io = co_await open_io(ex);
  if (!io)
    co_return io.error();
  auto form = request->form;
  if (form == codec::exec_form::whole && codec::accepts(ex.header("Accept"), "text/event-stream"))
    form = codec::exec_form::stream;
  auto run = form == codec::exec_form::whole    ? run_whole
             : form == codec::exec_form::stream ? run_stream
                                                : run_background;
  auto outcome = co_await run(ex, std::move(*io), std::move(request->spec));
  co_return outcome;
}

} // namespace

void add_exec_routes(std::vector<route>& table) {
  table.push_back({"POST", "/api/sandboxes/{id}/exec", answer<exec>, false, request_cost::stream});
}

} // namespace sandy::http::routes
