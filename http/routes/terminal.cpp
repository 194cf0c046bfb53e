#include "http/routes/routes.hpp"

#include "http/errors.hpp"
#include "http/routes/common.hpp"
#include "http/terminal/request.hpp"
#include "http/terminal/viewer.hpp"

#include <signal.h>

namespace sandy::http::routes {

namespace {

/// What our clients offer, and we agree to.
constexpr std::string_view subprotocol = "sandy.terminal";

struct opened {
  terminal::view about;
  std::unique_ptr<process_stream> output;
};

/// Why a command could not start is a matter of the request: see exec.
caf::error as_bad_request(caf::error err) {
  switch (code_of(err)) {
  case errc::file_not_found:
  case errc::not_a_directory:
  case errc::permission_denied:
    return fail(errc::invalid_argument, text_of(err));
  default:
    return err;
  }
}

io_task<result<process_info>> find_or_start(exchange& ex, std::shared_ptr<sandbox_io> io,
                                            terminal::request wanted) {
  if (!wanted.process_id) {
    auto started = co_await soon(ex, io->start(std::move(wanted.spec)));
    if (!started)
      co_return as_bad_request(started.error());
    co_return started;
  }
  auto found = co_await soon(ex, io->process(*wanted.process_id));
  if (!found)
    co_return found;
  if (!found->terminal)
    co_return fail(errc::conflict, "The process has no terminal");
  if (wanted.offset && *wanted.offset > found->output_bytes)
    co_return fail(errc::invalid_argument, "offset is behind the end of the output");
  if (wanted.size && !wanted.read_only && found->status == process_status::running) {
    // One that ends meanwhile is shown all the same.
    auto resized = co_await soon(ex, io->resize(*wanted.process_id, *wanted.size));
    if (resized)
      found->terminal = wanted.size;
  }
  co_return found;
}

io_task<result<opened>> open_terminal(exchange& ex, std::shared_ptr<sandbox_io> io,
                                      terminal::request wanted) {
  auto offset = wanted.offset;
  auto read_only = wanted.read_only;
  auto process = co_await find_or_start(ex, io, std::move(wanted));
  if (!process)
    co_return process.error();
  auto from = offset.value_or(process->output_start);
  auto output = co_await soon(ex, io->output(process->process_id, from, true));
  if (!output)
    co_return output.error();
  co_return opened{{std::move(*process), from, read_only}, std::move(*output)};
}

io_task<result<void>> open(exchange& ex) {
  auto wanted = terminal::read_request(ex);
  if (!wanted)
    co_return wanted.error();
  auto io = co_await open_io(ex);
  if (!io)
    co_return io.error();
  auto refused = co_await refuse_upgrade(ex);
  if (refused)
    co_return answered();
  auto starts = !wanted->process_id.has_value();
  auto terminal = co_await open_terminal(ex, *io, std::move(*wanted));
  if (!terminal)
    co_return terminal.error();
  auto id = terminal->about.process.process_id;
  auto& taken = ex.take_over();
  websocket socket{taken};
  auto accepted = co_await accept_upgrade(ex, socket, taken, subprotocol);
  if (!accepted) {
    // Nobody knows of it.
    if (starts) {
      auto ended = co_await soon(ex, (*io)->signal(id, SIGKILL, true));
      static_cast<void>(ended);
    }
    co_return answered();
  }
  terminal::viewer one{socket,
                       std::move(*io),
                       std::move(terminal->output),
                       std::move(terminal->about),
                       ex.server().limits.ping_interval,
                       ex.home()};
  co_await one.run();
  co_return answered();
}

} // namespace

void add_terminal_routes(std::vector<route>& table) {
  table.push_back({"GET", "/api/sandboxes/{id}/terminal", answer<open>, false, request_cost::stream, true});
}

} // namespace sandy::http::routes
