#include "app/cli/commands.hpp"
#include "app/cli/output.hpp"
#include "app/cli/raw_keyboard.hpp"
#include "app/cli/text.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <nlohmann/json.hpp>

#include <unistd.h>

#include <chrono>
#include <csignal>
#include <deque>
#include <exception>

namespace sandy::cli {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;

constexpr auto quietly = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t piece_bytes = 32 * 1024;
/// What may wait to be sent before the keyboard is left alone.
constexpr std::size_t most_waiting = 256 * 1024;
/// The end of input, as it is typed.
constexpr const char* end_of_input = "\x04";
constexpr std::chrono::milliseconds end_again{500};

std::string target_of(const shell_command& what) {
  auto target = sandbox_path(what.id, "/terminal?");
  if (what.attach)
    target += "id=" + std::to_string(*what.attach) + "&";
  if (!what.script.empty())
    target += "command=" + percent_encoded(what.script) + "&";
  if (!what.cwd.empty())
    target += "cwd=" + percent_encoded(what.cwd) + "&";
  if (what.read_only)
    target += "readonly=1&";
  if (auto size = window_size())
    target += "cols=" + std::to_string(size->columns) + "&rows=" + std::to_string(size->rows) + "&";
  target.pop_back(); // the '?' or the last '&'
  return target;
}

/// One terminal of a sandbox, joined to our own.
class shell {
public:
  shell(const api_client& server, const shell_command& what)
      : server_(server)
      , what_(what) {}

  result<void> connect();
  result<int> run();

private:
  struct message {
    bool text = false;
    std::string bytes;
  };

  asio::awaitable<void> everything();
  asio::awaitable<void> read_screen();
  asio::awaitable<void> read_keyboard();
  asio::awaitable<void> send_waiting();
  asio::awaitable<void> follow_size();
  asio::awaitable<void> await_signal();
  asio::awaitable<void> forever();
  /// @return false: that was the end.
  bool take_message(const std::string& text);
  void send(message what);

  const api_client& server_;
  const shell_command& what_;
  asio::io_context context_{1};
  beast::websocket::stream<tcp::socket> socket_{context_};
  asio::posix::stream_descriptor keyboard_{context_};
  asio::steady_timer arrived_{context_}, sent_{context_};
  std::deque<message> waiting_;
  std::size_t waiting_bytes_ = 0;
  std::string process_; ///< its number, once known
  std::optional<result<int>> outcome_;
};

result<void> shell::connect() {
  const auto& where = server_.where();
  beast::error_code failed;
  tcp::resolver resolver(context_);
  auto found = resolver.resolve(where.host, where.port, failed);
  if (!failed)
    asio::connect(socket_.next_layer(), found, failed);
  if (failed)
    return fail(errc::upstream_error,
                "Cannot reach " + where.host + ":" + where.port + ": " + failed.message());
  socket_.next_layer().set_option(tcp::no_delay(true), failed);
  socket_.set_option(
      beast::websocket::stream_base::decorator([this](beast::websocket::request_type& request) {
        if (!server_.key().empty())
          request.set(beast::http::field::authorization, "Bearer " + server_.key());
      }));
  beast::websocket::response_type answer;
  socket_.handshake(answer, where.authority(), where.prefix + target_of(what_), failed);
  if (failed != beast::websocket::error::upgrade_declined)
    return failed ? result<void>{fail(errc::upstream_error, "The server did not answer: " + failed.message())}
                  : result<void>{caf::unit};
  auto said = nlohmann::json::parse(answer.body(), nullptr, false);
  auto detail = "status " + std::to_string(answer.result_int());
  if (auto sentence = said.is_object() ? field(said, "detail") : ""; !sentence.empty())
    detail = sentence + " (" + detail + ")";
  return fail(errc::upstream_error, "The server refused: " + detail);
}

result<int> shell::run() {
  raw_keyboard raw;
  keyboard_.assign(::dup(STDIN_FILENO));
  std::exception_ptr broken;
  asio::co_spawn(context_, everything(), [&](std::exception_ptr what) {
    broken = std::move(what);
    context_.stop();
  });
  context_.run();
  if (broken)
    std::rethrow_exception(broken);
  if (outcome_)
    return std::move(*outcome_);
  auto sentence = std::string{"The connection was lost"};
  if (!process_.empty())
    sentence += "; the terminal goes on: sandy shell " + what_.id + " --attach " + process_;
  return fail(errc::upstream_error, std::move(sentence));
}

asio::awaitable<void> shell::everything() {
  using asio::experimental::awaitable_operators::operator||;
  co_await (read_screen() || read_keyboard() || send_waiting() || follow_size() || await_signal());
}

asio::awaitable<void> shell::read_screen() {
  beast::flat_buffer buffer;
  for (bool more = true; more;) {
    auto read = co_await socket_.async_read(buffer, quietly);
    if (std::get<0>(read))
      co_return;
    std::string bytes{static_cast<const char*>(buffer.data().data()), buffer.size()};
    buffer.clear();
    if (socket_.got_text()) {
      more = take_message(bytes);
    } else if (auto shown = write_all(STDOUT_FILENO, bytes); !shown) {
      outcome_ = std::move(shown.error());
      more = false;
    }
  }
}

bool shell::take_message(const std::string& text) {
  auto said = nlohmann::json::parse(text, nullptr, false);
  if (!said.is_object())
    return true;
  auto type = field(said, "type");
  if (type == "ready")
    process_ = field(said, "id");
  if (type == "exit" && said.contains("exitCode") && said["exitCode"].is_number_integer())
    outcome_ = said["exitCode"].get<int>();
  if (type == "error")
    outcome_ = fail(errc::upstream_error, "The terminal was lost: " + field(said, "message"));
  return type != "exit" && type != "error";
}

asio::awaitable<void> shell::read_keyboard() {
  std::string bytes;
  for (;;) {
    // Waiting instead of reading leaves the descriptor as it is: others have it open too. What cannot be
    // waited for, as a file, always has something.
    auto ready = co_await keyboard_.async_wait(asio::posix::stream_descriptor::wait_read, quietly);
    static_cast<void>(ready);
    bytes.resize(piece_bytes);
    auto count = ::read(STDIN_FILENO, bytes.data(), bytes.size());
    if (count < 0 && (errno == EINTR || errno == EAGAIN))
      continue;
    if (count <= 0)
      break;
    bytes.resize(static_cast<std::size_t>(count));
    send({false, bytes});
    while (waiting_bytes_ > most_waiting) {
      sent_.expires_at(asio::steady_timer::time_point::max());
      co_await sent_.async_wait(quietly);
    }
  }
  // Whoever reads from now on is told, one after the other; and a shell that was just starting may have taken
  // the first for something else.
  for (asio::steady_timer pause{context_};;) {
    if (waiting_.empty())
      send({false, end_of_input});
    pause.expires_after(end_again);
    co_await pause.async_wait(quietly);
  }
}

void shell::send(message what) {
  if (what_.read_only)
    return;
  waiting_bytes_ += what.bytes.size();
  waiting_.push_back(std::move(what));
  arrived_.cancel();
}

asio::awaitable<void> shell::send_waiting() {
  for (;;) {
    if (waiting_.empty()) {
      arrived_.expires_at(asio::steady_timer::time_point::max());
      co_await arrived_.async_wait(quietly);
      continue;
    }
    auto next = std::move(waiting_.front());
    waiting_.pop_front();
    socket_.text(next.text);
    auto written = co_await socket_.async_write(asio::buffer(next.bytes), quietly);
    waiting_bytes_ -= next.bytes.size();
    sent_.cancel();
    if (std::get<0>(written))
      co_await forever(); // the screen's end says why
  }
}

asio::awaitable<void> shell::follow_size() {
  asio::signal_set changes(context_, SIGWINCH);
  for (;;) {
    auto changed = co_await changes.async_wait(quietly);
    if (std::get<0>(changed))
      co_return;
    if (auto size = window_size())
      send({true, nlohmann::json{{"type", "resize"}, {"cols", size->columns}, {"rows", size->rows}}.dump()});
  }
}

/// The keyboard is raw, so these come from elsewhere. The terminal inside goes on.
asio::awaitable<void> shell::await_signal() {
  asio::signal_set ends(context_, SIGINT, SIGTERM, SIGHUP);
  auto arrived = co_await ends.async_wait(quietly);
  if (!std::get<0>(arrived))
    outcome_ = 128 + std::get<1>(arrived);
}

asio::awaitable<void> shell::forever() {
  asio::steady_timer never(context_, asio::steady_timer::time_point::max());
  co_await never.async_wait(quietly);
}

} // namespace

result<int> execute(api_client& server, const shell_command& what) {
  shell one(server, what);
  if (auto connected = one.connect(); !connected)
    return std::move(connected.error());
  return one.run();
}

} // namespace sandy::cli
