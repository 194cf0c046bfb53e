#include "guest/server.hpp"

#include "guest/file_operations.hpp"
#include "guest/process_operations.hpp"

#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace sandy::guest {
namespace {

/// The last part of a lease, at most: long enough to read what waits at the listener.
constexpr std::uint64_t longest_last_call_ms = 10'000;
/// A timer that fires later than this was not late, we were stopped.
constexpr std::uint64_t stopped_ms = 1000;

/// Decodes a request and hands it to `use`; answers what cannot be decoded. `use` returns an operation or
/// nothing.
template <class Request, class F>
std::unique_ptr<operation> with(connection& link, std::string_view payload, F use) {
  auto request = decode<Request>(payload);
  if (!request) {
    link.fail(failure_kind::protocol, 0, "Malformed request");
    return nullptr;
  }
  if constexpr (std::is_void_v<decltype(use(std::move(*request)))>) {
    use(std::move(*request));
    return nullptr;
  } else {
    return use(std::move(*request));
  }
}

} // namespace

bool server::reaper::start() { return registration_.watch(signals_.get(), EPOLLIN); }

void server::reaper::on_events(std::uint32_t) {
  signalfd_siginfo info[8];
  while (::read(signals_.get(), info, sizeof info) > 0) {
  }
  table_.reap(); // signals merge, so who ended is asked of the kernel
}

void server::lease_clock::renew(std::uint64_t milliseconds) {
  last_call_ = false;
  if (milliseconds == 0)
    return timer_.stop();
  last_call_ms_ = std::min(milliseconds / 4, longest_last_call_ms);
  timer_.start(milliseconds - last_call_ms_);
}

void server::lease_clock::on_timer() {
  // The clock runs on while we are frozen: a lease may look over when we wake, with the renewal of who woke
  // us still unread. So the last part of a lease has to pass while we run.
  auto now = monotonic_ms();
  over_ = last_call_ && now < due_ms_ + stopped_ms;
  if (over_)
    return;
  last_call_ = true;
  due_ms_ = now + last_call_ms_;
  timer_.start(last_call_ms_);
}

server::server(unique_fd listener, unique_fd child_signals, child_defaults defaults, std::uint64_t lease_ms)
    : listener_(std::move(listener))
    , registration_(loop_, *this)
    , accept_pause_(loop_, *this)
    , lease_(loop_)
    , table_(loop_, defaults)
    , reaper_(loop_, std::move(child_signals), table_) {
  lease_.renew(lease_ms);
}

bool server::run() {
  if (!loop_.ok() || !reaper_.start() || !registration_.watch(listener_.get(), EPOLLIN))
    return false;
  while (!lease_.over()) {
    loop_.run_once();
    connections_.remove_if([](const connection& one) { return one.closed(); });
    table_.sweep();
  }
  return true;
}

void server::on_events(std::uint32_t) {
  for (int i = 0; i < accepts_per_round && accept(); ++i) {
  }
}

bool server::accept() {
  unique_fd client{::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
  if (!client) {
    if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
      registration_.watch(listener_.get(), 0);
      accept_pause_.start(accept_pause_ms);
    }
    return false;
  }
  connections_.emplace_back(loop_, std::move(client), *this);
  return true;
}

void server::on_timer() {
  if (!registration_.watch(listener_.get(), EPOLLIN))
    accept_pause_.start(accept_pause_ms);
}

void server::renew(connection& link, const lease_request& request) {
  lease_.renew(request.milliseconds);
  link.succeed();
}

std::unique_ptr<operation> server::start(connection& link, frame_type type, std::string_view payload) {
  bool vital = type == frame_type::ping || type == frame_type::lease;
  if (connections_.size() >= max_connections && !vital) {
    link.fail(failure_kind::too_many, 0, "Too many operations at once");
    return nullptr;
  }
  switch (type) {
  case frame_type::ping:
    link.send(pong{});
    link.finish();
    return nullptr;
  case frame_type::activity:
    link.send(quiet{table_.quiet_ms()});
    link.finish();
    return nullptr;
  case frame_type::lease:
    return with<lease_request>(link, payload, [&](auto request) { renew(link, request); });
  case frame_type::spawn:
    return with<spawn_request>(link, payload,
                               [&](auto request) { return start_spawn(link, table_, std::move(request)); });
  case frame_type::spawn_in_group:
    return with<group_request>(link, payload, [&](auto request) {
      return start_spawn(link, table_, std::move(request), link.take_descriptor());
    });
  case frame_type::spawn_as_user:
    return with<user_request>(link, payload,
                              [&](auto request) { return start_spawn(link, table_, std::move(request)); });
  case frame_type::spawn_terminal:
    return with<terminal_request>(
        link, payload, [&](auto request) { return start_spawn(link, table_, std::move(request)); });
  case frame_type::resize:
    return with<resize_request>(link, payload, [&](auto request) { answer_resize(link, table_, request); });
  case frame_type::output:
    return with<output_request>(link, payload,
                                [&](auto request) { return start_output(link, table_, request); });
  case frame_type::signal:
    return with<signal_request>(link, payload, [&](auto request) { answer_signal(link, table_, request); });
  case frame_type::input:
    return with<input_request>(link, payload,
                               [&](auto request) { return start_input(link, table_, request); });
  case frame_type::processes:
    answer_processes(link, table_);
    return nullptr;
  case frame_type::process:
    return with<process_request>(link, payload, [&](auto request) { answer_process(link, table_, request); });
  case frame_type::read:
    return with<read_request>(link, payload, [&](auto request) { return start_read(link, request); });
  case frame_type::write:
    return with<write_request>(link, payload, [&](auto request) { return start_write(link, request); });
  case frame_type::stat:
    return with<path_request>(link, payload, [&](auto request) { answer_stat(link, request); });
  case frame_type::list:
    return with<list_request>(link, payload, [&](auto request) { return start_list(link, request); });
  case frame_type::make_directory:
    return with<directory_request>(link, payload,
                                   [&](auto request) { answer_make_directory(link, request); });
  case frame_type::move:
    return with<move_request>(link, payload, [&](auto request) { answer_move(link, request); });
  case frame_type::remove:
    return with<remove_request>(link, payload, [&](auto request) { return start_remove(link, request); });
  case frame_type::watch:
    return with<watch_request>(link, payload, [&](auto request) { return start_watch(link, request); });
  default:
    link.fail(failure_kind::protocol, 0, "Unknown request");
    return nullptr;
  }
}

} // namespace sandy::guest
