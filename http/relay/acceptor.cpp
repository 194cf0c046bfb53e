#include "http/relay/acceptor.hpp"

#include "http/timed.hpp"
#include "metrics/log.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace sandy::http::relay {

namespace net = boost::asio;

namespace {

// Accepting fails when the process has no descriptor left: trying again at once would burn a core and fill
// the log.
constexpr std::chrono::milliseconds first_pause{50};
constexpr std::chrono::milliseconds last_pause{2'000};

} // namespace

acceptor::acceptor(net::io_context& home)
    : listening_(home.get_executor())
    , pause_(home.get_executor()) {}

result<void> acceptor::assign(const net::ip::tcp& protocol, runtime::unique_fd listening) {
  int listens = 0;
  socklen_t size = sizeof listens;
  boost::system::error_code ec;
  if (::getsockopt(listening.get(), SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0)
    ec.assign(errno, boost::system::system_category());
  else if (listens == 0)
    ec = net::error::invalid_argument;
  else
    listening_.assign(protocol, listening.get(), ec);
  if (ec)
    return fail(errc::internal, "Cannot accept connections of a sandbox: " + ec.message());
  [[maybe_unused]] auto owned_by_the_acceptor = listening.release();
  return caf::unit;
}

io_task<void> acceptor::run(std::string event, std::string label, std::function<void(socket)> take) {
  auto pause = first_pause;
  while (listening_.is_open()) {
    if (held_) {
      pause_.expires_at(std::chrono::steady_clock::time_point::max());
      co_await pause_.async_wait(as_values);
      continue;
    }
    auto outcome = co_await listening_.async_accept(listening_.get_executor(), as_values);
    auto& [ec, client] = outcome;
    if (!listening_.is_open())
      co_return;
    if (ec == net::error::connection_aborted)
      continue; // the client gave up while it waited
    if (ec) {
      log_event(log_level::warn, event, {{"sandbox_id", label}, {"what", ec.message()}});
      pause_.expires_after(pause);
      pause = std::min(2 * pause, last_pause);
      co_await pause_.async_wait(as_values);
      continue;
    }
    pause = first_pause;
    take(std::move(client));
  }
}

void acceptor::go_on() noexcept {
  held_ = false;
  pause_.cancel();
}

void acceptor::close() noexcept {
  boost::system::error_code ignored; // closed twice is closed
  listening_.close(ignored);
  pause_.cancel();
}

} // namespace sandy::http::relay
