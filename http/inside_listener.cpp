#include "http/inside_listener.hpp"

#include "http/session.hpp"

#include <boost/asio/co_spawn.hpp>

#include <exception>

namespace sandy::http {

namespace net = boost::asio;

inside_listener::inside_listener(principal who, std::shared_ptr<shard> home)
    : who_(std::move(who))
    , shard_(std::move(home))
    , acceptor_(shard_->io_context) {}

result<std::shared_ptr<inside_listener>> inside_listener::make(runtime::unique_fd listening, principal who,
                                                               std::shared_ptr<shard> home) {
  std::shared_ptr<inside_listener> made{new inside_listener(std::move(who), std::move(home))};
  auto assigned = made->acceptor_.assign(net::ip::tcp::v4(), std::move(listening));
  if (!assigned)
    return std::move(assigned.error());
  return made;
}

std::shared_ptr<inside_listener> inside_listener::make(const router& routes, std::shared_ptr<shard> home) {
  std::shared_ptr<inside_listener> made{new inside_listener({}, std::move(home))};
  made->routes_ = &routes;
  return made;
}

void inside_listener::start() {
  if (closed_ || shard_->common->draining.load(std::memory_order_relaxed))
    return stop_accepting();
  insert_before(shard_->inside);
  if (shard_->accepting)
    begin_accepting();
}

void inside_listener::begin_accepting() {
  if (!acceptor_.is_open())
    return; // somebody else accepts
  auto ended = [](const std::exception_ptr& what) {
    if (what)
      std::rethrow_exception(what); // a bug, as in the loop of the server
  };
  auto take = [self = shared_from_this()](relay::socket client) { self->accepted(std::move(client)); };
  net::co_spawn(shard_->io_context, acceptor_.run("http_accept_failed", who_.sandbox.value, std::move(take)),
                ended);
}

void inside_listener::accepted(relay::socket client) {
  if (++open_ >= most_sessions)
    acceptor_.hold(); // until a session ends
  serve(std::move(client), false);
}

void inside_listener::take(relay::socket client, principal who) {
  if (closed_ || open_ >= 2 * most_sessions) {
    boost::system::error_code ignored; // a reset is what closing comes to as well
    client.set_option(net::socket_base::linger{true, 0}, ignored);
    return;
  }
  if (who_ != who) // once at most: handlers hold references to it
    who_ = std::move(who);
  serve(std::move(client), ++open_ > most_sessions);
}

void inside_listener::serve(relay::socket client, bool refuse) {
  shard_->common->connections.fetch_add(1, std::memory_order_relaxed);
  shard_->common->inside.fetch_add(1, std::memory_order_relaxed);
  session::start(std::move(client), shard_, refuse, shared_from_this());
}

void inside_listener::session_ended() noexcept {
  --open_;
  shard_->common->inside.fetch_sub(1, std::memory_order_relaxed);
  acceptor_.go_on();
}

bool inside_listener::hold_body(std::uint64_t bytes) noexcept {
  if (body_bytes_ + bytes > 2 * shard_->common->server.limits.json_body_bytes)
    return false;
  body_bytes_ += bytes;
  return true;
}

void inside_listener::stop_accepting() noexcept {
  closed_ = true;
  acceptor_.close();
}

void inside_listener::close() {
  stop_accepting();
  unlink();
  cut();
}

void inside_listener::cut() {
  for (auto* hook = sessions_.next(); hook != &sessions_;) {
    auto& client = static_cast<session&>(*hook);
    hook = hook->next();
    client.cut();
  }
}

} // namespace sandy::http
