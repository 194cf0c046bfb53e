#include "http/inside_listener.hpp"

#include "http/session.hpp"
#include "metrics/log.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <exception>

namespace sandy::http {

namespace net = boost::asio;

namespace {

constexpr auto as_values = net::as_tuple(net::use_awaitable_t<io_executor>{});

// Accepting fails when the process has no descriptor left: trying again at once would burn a core and fill
// the log.
constexpr std::chrono::milliseconds first_pause{50};
constexpr std::chrono::milliseconds last_pause{2'000};

} // namespace

inside_listener::inside_listener(principal who, std::shared_ptr<shard> home)
    : who_(std::move(who))
    , shard_(std::move(home))
    , acceptor_(shard_->io_context.get_executor())
    , pause_(shard_->io_context.get_executor()) {}

result<std::shared_ptr<inside_listener>> inside_listener::make(runtime::unique_fd listening, principal who,
                                                               std::shared_ptr<shard> home) {
  std::shared_ptr<inside_listener> made{new inside_listener(std::move(who), std::move(home))};
  int listens = 0;
  socklen_t size = sizeof listens;
  boost::system::error_code ec;
  if (::getsockopt(listening.get(), SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0)
    ec.assign(errno, boost::system::system_category());
  else if (listens == 0)
    ec = net::error::invalid_argument;
  else
    made->acceptor_.assign(net::ip::tcp::v4(), listening.get(), ec);
  if (ec)
    return fail(errc::internal, "Cannot accept connections from inside the sandbox: " + ec.message());
  [[maybe_unused]] auto owned_by_the_acceptor = listening.release();
  return made;
}

void inside_listener::start() {
  if (!acceptor_.is_open() || shard_->common->draining.load(std::memory_order_relaxed))
    return stop_accepting();
  insert_before(shard_->inside);
  if (shard_->accepting)
    begin_accepting();
}

void inside_listener::begin_accepting() {
  auto ended = [](const std::exception_ptr& what) {
    if (what)
      std::rethrow_exception(what); // a bug, as in the loop of the server
  };
  net::co_spawn(shard_->io_context, accept_loop(shared_from_this()), ended);
}

io_task<void> inside_listener::accept_loop(std::shared_ptr<inside_listener> self) {
  auto& common = *self->shard_->common;
  auto pause = first_pause;
  while (self->acceptor_.is_open()) {
    if (self->open_ >= most_sessions) {
      self->pause_.expires_at(std::chrono::steady_clock::time_point::max()); // until a session ends
      co_await self->pause_.async_wait(as_values);
      continue;
    }
    auto accepted = co_await self->acceptor_.async_accept(self->shard_->io_context.get_executor(), as_values);
    auto& [ec, socket] = accepted;
    if (!self->acceptor_.is_open())
      co_return;
    if (ec == net::error::connection_aborted)
      continue; // the client gave up while it waited
    if (ec) {
      log_event(log_level::warn, "http_accept_failed",
                {{"sandbox_id", self->who_.sandbox.value}, {"what", ec.message()}});
      self->pause_.expires_after(pause);
      pause = std::min(2 * pause, last_pause);
      co_await self->pause_.async_wait(as_values);
      continue;
    }
    pause = first_pause;
    ++self->open_;
    common.connections.fetch_add(1, std::memory_order_relaxed);
    common.inside.fetch_add(1, std::memory_order_relaxed);
    session::start(std::move(socket), self->shard_, false, self);
  }
}

void inside_listener::session_ended() noexcept {
  --open_;
  shard_->common->inside.fetch_sub(1, std::memory_order_relaxed);
  pause_.cancel();
}

bool inside_listener::hold_body(std::uint64_t bytes) noexcept {
  if (body_bytes_ + bytes > 2 * shard_->common->server.limits.json_body_bytes)
    return false;
  body_bytes_ += bytes;
  return true;
}

void inside_listener::stop_accepting() noexcept {
  boost::system::error_code ignored; // closed twice is closed
  acceptor_.close(ignored);
  pause_.cancel();
}

void inside_listener::close() {
  stop_accepting();
  unlink();
  for (auto* hook = sessions_.next(); hook != &sessions_;) {
    auto& client = static_cast<session&>(*hook);
    hook = hook->next();
    client.cut();
  }
}

} // namespace sandy::http
