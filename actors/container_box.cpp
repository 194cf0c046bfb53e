#include "actors/container_box.hpp"

#include "coro/io.hpp"
#include "coro/pool.hpp"
#include "runtime/guest/lease.hpp"
#include "runtime/guest/whole_file.hpp"

#include <algorithm>
#include <limits>

namespace sandy {

namespace {

constexpr std::size_t longest_line = 500;
/// Where the last line is looked for.
constexpr std::uint64_t tail_bytes = 16 * 1024;
constexpr std::uint64_t most_hosts_bytes = 1024 * 1024;
constexpr const char* hosts_file = "/etc/hosts";

// What an actor waits for may go on when it waits no longer: every operation holds what it works on.

io_task<result<std::uint32_t>> start_one(std::shared_ptr<sandbox_io> io, process_spec spec) {
  auto started = co_await io->start(std::move(spec));
  if (!started)
    co_return std::move(started.error());
  co_return started->process_id;
}

/// Output from an offset that is never reached: nothing but the end comes.
io_task<result<process_exit>> wait_for(std::shared_ptr<sandbox_io> io, std::uint32_t process_id) {
  auto stream = co_await io->output(process_id, std::numeric_limits<std::uint64_t>::max(), true);
  if (!stream)
    co_return std::move(stream.error());
  for (;;) {
    auto event = co_await (*stream)->next();
    if (!event)
      co_return std::move(event.error());
    if (auto* end = std::get_if<process_exit>(&*event))
      co_return *end;
  }
}

io_task<result<void>> signal_one(std::shared_ptr<sandbox_io> io, std::uint32_t process_id, int number,
                                 bool tree) {
  auto sent = co_await io->signal(process_id, number, tree);
  co_return sent;
}

io_task<result<std::string>> read_last_line(std::shared_ptr<sandbox_io> io, std::uint32_t process_id) {
  auto about = co_await io->process(process_id);
  if (!about)
    co_return std::move(about.error());
  auto from = about->output_bytes > tail_bytes ? about->output_bytes - tail_bytes : 0;
  auto stream = co_await io->output(process_id, std::max(from, about->output_start), false);
  if (!stream)
    co_return std::move(stream.error());
  std::string text;
  for (;;) {
    auto event = co_await (*stream)->next();
    if (!event)
      co_return std::move(event.error());
    if (auto* chunk = std::get_if<output_chunk>(&*event))
      text += chunk->bytes;
    else if (!std::holds_alternative<output_gap>(*event))
      co_return last_line_of(text);
    if (text.size() > 4 * tail_bytes) // it prints faster than we read
      co_return last_line_of(text);
  }
}

io_task<result<void>> copy_hosts(std::shared_ptr<sandbox_io> from, std::shared_ptr<sandbox_io> to) {
  auto text = co_await guest::read_beginning(std::move(from), hosts_file, most_hosts_bytes);
  if (!text)
    co_return std::move(text.error());
  write_options options;
  options.path = hosts_file;
  auto written = co_await guest::write_whole(std::move(to), std::move(options), std::move(*text));
  co_return written;
}

class guest_container_box final : public container_box {
public:
  guest_container_box(boost::asio::io_context& context, std::shared_ptr<sandbox_io> io,
                      std::string guest_socket)
      : context_(context)
      , io_(std::move(io))
      , guest_socket_(std::move(guest_socket)) {}

  coro::task<std::uint32_t> start(process_spec spec) override {
    auto started = co_await coro::io<std::uint32_t>(context_, start_one(io_, std::move(spec)));
    co_return std::move(started);
  }
  coro::task<process_exit> wait(std::uint32_t process_id) override {
    auto end = co_await coro::io<process_exit>(context_, wait_for(io_, process_id));
    co_return std::move(end);
  }
  coro::task<void> signal(std::uint32_t process_id, int number, bool tree) override {
    auto sent = co_await coro::io<void>(context_, signal_one(io_, process_id, number, tree));
    co_return std::move(sent);
  }
  coro::task<std::string> last_line(std::uint32_t process_id) override {
    auto line = co_await coro::io<std::string>(context_, read_last_line(io_, process_id));
    co_return std::move(line);
  }
  coro::task<void> take_hosts(std::shared_ptr<sandbox_io> from) override {
    auto taken = co_await coro::io<void>(context_, copy_hosts(std::move(from), io_));
    co_return std::move(taken);
  }
  coro::task<void> renew_lease(std::chrono::milliseconds lease) override {
    auto renewed = co_await coro::io<void>(context_, guest::renew_lease(guest_socket_, lease));
    co_return std::move(renewed);
  }

private:
  boost::asio::io_context& context_;
  std::shared_ptr<sandbox_io> io_;
  std::string guest_socket_;
};

} // namespace

std::string last_line_of(std::string_view text) {
  while (!text.empty()) {
    auto begin = text.rfind('\n');
    auto line = begin == std::string_view::npos ? text : text.substr(begin + 1);
    text = begin == std::string_view::npos ? std::string_view{} : text.substr(0, begin);
    std::string clean;
    for (unsigned char byte : line.substr(0, longest_line))
      clean += byte < 0x20 || byte >= 0x7f ? ' ' : static_cast<char>(byte);
    auto first = clean.find_first_not_of(' ');
    if (first != std::string::npos)
      return clean.substr(first, clean.find_last_not_of(' ') - first + 1);
  }
  return {};
}

std::shared_ptr<container_box> make_container_box(coro::pool& threads, std::shared_ptr<sandbox_io> io,
                                                  std::string guest_socket) {
  return std::make_shared<guest_container_box>(threads.here(), std::move(io), std::move(guest_socket));
}

} // namespace sandy
