#include "http/terminal/viewer.hpp"

#include "http/codec/exec.hpp"
#include "http/errors.hpp"
#include "http/terminal/request.hpp"

#include <netinet/tcp.h>
#include <sys/socket.h>

namespace sandy::http::terminal {

namespace beast_ws = boost::beast::websocket;

namespace {

/// One message of a viewer; a longer paste is several.
constexpr std::size_t max_message = 256 * 1024;
/// What may wait for the process beside the message that is read.
constexpr std::size_t enough_input = 64 * 1024;
/// How long the viewer has to answer our farewell.
constexpr std::chrono::seconds farewell{5};

} // namespace

viewer::viewer(websocket& socket, std::shared_ptr<sandbox_io> io, std::unique_ptr<process_stream> output,
               view about, std::chrono::milliseconds pings, shard& home)
    : socket_(socket)
    , io_(std::move(io))
    , output_(std::move(output))
    , about_(std::move(about))
    , pings_(pings)
    , home_(home)
    , last_sign_(std::chrono::steady_clock::now())
    , arrived_(home.io_context.get_executor())
    , taken_(home.io_context.get_executor()) {
  socket_.read_message_max(max_message);
  socket_.auto_fragment(false);
  socket_.control_callback([this](beast_ws::frame_type, boost::beast::string_view) { sign_of_life(); });
  // A viewer that vanished while output trickles into the kernel's buffer: pings alone would not tell.
  auto patience = static_cast<unsigned>(3 * pings_.count());
  ::setsockopt(socket_.next_layer().link().raw().native_handle(), IPPROTO_TCP, TCP_USER_TIMEOUT, &patience,
               sizeof patience);
}

io_task<void> viewer::run() {
  using boost::asio::experimental::awaitable_operators::operator||;
  co_await (show() || listen() || type() || ping() || watch() || leave());
  socket_.control_callback({});
}

io_task<void> viewer::show() {
  const auto& process = about_.process;
  nlohmann::json ready{{"type", "ready"},
                       {"id", process.process_id},
                       {"offset", about_.offset},
                       {"readonly", about_.read_only}};
  if (process.terminal) {
    ready["cols"] = process.terminal->columns;
    ready["rows"] = process.terminal->rows;
  }
  auto more = co_await send_json(std::move(ready));
  while (more) {
    auto event = co_await output_->next();
    if (event) {
      more = co_await send_event(std::move(*event));
      continue;
    }
    auto ended = code_of(event.error()) == errc::sandbox_ended;
    auto told = co_await send_json({{"type", "error"},
                                    {"code", to_string(code_of(event.error()))},
                                    {"message", text_of(event.error())}});
    if (told)
      co_await close(ended ? beast_ws::close_code::going_away : beast_ws::close_code::internal_error,
                     "the sandbox is gone");
    co_return;
  }
}

/// @return false after the last event, or when the viewer is gone.
io_task<bool> viewer::send_event(process_event event) {
  if (auto* chunk = std::get_if<output_chunk>(&event)) {
    auto sent = co_await send(false, chunk->bytes);
    co_return sent;
  }
  if (auto* gap = std::get_if<output_gap>(&event)) {
    auto sent = co_await send_json({{"type", "missed"}, {"bytes", gap->to - gap->from}, {"offset", gap->to}});
    co_return sent;
  }
  if (auto* exit = std::get_if<process_exit>(&event)) {
    auto message = codec::exit_json(*exit);
    message["type"] = "exit";
    auto sent = co_await send_json(std::move(message));
    if (sent)
      co_await close(beast_ws::close_code::normal, "the process has ended");
  }
  co_return false;
}

io_task<bool> viewer::send(bool text, std::string_view bytes) {
  socket_.text(text);
  auto written = co_await socket_.async_write(boost::asio::buffer(bytes), as_values);
  if (std::get<0>(written))
    co_return false;
  sign_of_life();
  co_return true;
}

io_task<bool> viewer::send_json(nlohmann::json message) {
  auto text = message.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  auto sent = co_await send(true, text);
  co_return sent;
}

io_task<void> viewer::close(beast_ws::close_code code, std::string_view why) {
  using boost::asio::experimental::awaitable_operators::operator||;
  if (std::exchange(closing_, true)) { // the end of the process and a bad message came at once
    co_await routes::pause(farewell);
    co_return;
  }
  beast_ws::close_reason reason{code, boost::beast::string_view{why.data(), why.size()}};
  co_await (say_good_bye(reason) || end_good_bye());
}

io_task<void> viewer::say_good_bye(beast_ws::close_reason reason) {
  co_await socket_.async_close(reason, as_values);
  said_ = true;
}

/// A good-bye waits for the viewer to go, and cannot be cancelled: it is ended by the socket, when its time
/// is over or nobody waits for it any more.
io_task<void> viewer::end_good_bye() {
  io_timer timer{home_.io_context.get_executor(), farewell};
  co_await timer.async_wait(as_values);
  boost::system::error_code ignored; // fails on broken sockets only
  if (!said_)
    socket_.next_layer().link().raw().shutdown(boost::asio::socket_base::shutdown_both, ignored);
}

io_task<void> viewer::listen() {
  boost::beast::flat_buffer message;
  for (;;) {
    auto read = co_await socket_.async_read(message, as_values);
    if (std::get<0>(read)) {
      co_await finish_typing();
      co_return;
    }
    sign_of_life();
    auto data = message.data();
    std::string_view bytes{static_cast<const char*>(data.data()), data.size()};
    if (socket_.got_text()) {
      auto obeyed = co_await obey(bytes);
      if (!obeyed) {
        // The longest reason that fits its frame; ours are ASCII.
        auto why = text_of(obeyed.error()).substr(0, 120);
        co_await close(beast_ws::close_code::policy_error, why);
        co_return;
      }
    } else {
      co_await take_input(bytes);
    }
    message.clear();
    message.shrink_to_fit();
  }
}

io_task<result<void>> viewer::obey(std::string_view control) {
  auto wanted = parse_control(control);
  if (!wanted)
    co_return wanted.error();
  if (auto* typed = std::get_if<input>(&*wanted)) {
    co_await take_input(typed->data);
  } else if (!about_.read_only) {
    // One that ended meanwhile has no size to change, and its end is on the way.
    auto resized = co_await routes::within(
        io_->resize(about_.process.process_id, std::get<terminal_size>(*wanted)), std::chrono::seconds{30});
    static_cast<void>(resized);
  }
  co_return caf::unit;
}

io_task<void> viewer::take_input(std::string_view bytes) {
  if (about_.read_only)
    co_return;
  typed_ += bytes;
  arrived_.cancel();
  while (typed_.size() >= enough_input) {
    waiting_ = true;
    taken_.expires_at(io_timer::time_point::max());
    co_await taken_.async_wait(as_values);
  }
  if (std::exchange(waiting_, false))
    sign_of_life(); // it was not listened to
}

/// Who says something and leaves has said it.
io_task<void> viewer::finish_typing() {
  auto until = std::chrono::steady_clock::now() + farewell;
  while ((!typed_.empty() || typing_) && std::chrono::steady_clock::now() < until) {
    taken_.expires_at(until);
    co_await taken_.async_wait(as_values);
  }
}

io_task<void> viewer::type() {
  for (;;) {
    if (typed_.empty()) {
      arrived_.expires_at(io_timer::time_point::max());
      co_await arrived_.async_wait(as_values);
      continue;
    }
    auto bytes = std::exchange(typed_, {});
    typing_ = true;
    taken_.cancel();
    // A process that has ended takes nothing; its end is on the way.
    auto written = co_await io_->write_stdin(about_.process.process_id, std::move(bytes), false);
    static_cast<void>(written);
    typing_ = false;
    taken_.cancel();
  }
}

io_task<void> viewer::ping() {
  for (;;) {
    co_await routes::pause(pings_);
    auto sent = co_await socket_.async_ping({}, as_values);
    if (std::get<0>(sent))
      co_return;
  }
}

io_task<void> viewer::watch() {
  do
    co_await routes::pause(pings_);
  while (waiting_ || std::chrono::steady_clock::now() - last_sign_ < 3 * pings_);
}

/// The process goes on: who comes back once the server is there again finds it.
io_task<void> viewer::leave() {
  co_await home_.draining.wait();
  co_await close(beast_ws::close_code::going_away, "the server is stopping");
}

} // namespace sandy::http::terminal
