#include "http/engine_support.hpp"

#include "http/auth.hpp"
#include "messages/type_ids.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <cerrno>
#include <cstdlib>
#include <stdexcept>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace sandy::tests {

namespace net = boost::asio;

std::vector<http::route> test_routes(); // engine_handlers.cpp

http::edge_limits quick_limits() {
  http::edge_limits limits;
  limits.header_timeout = 200ms;
  limits.idle_timeout = 10s;
  limits.body_timeout = 200ms;
  limits.write_timeout = 300ms;
  return limits;
}

void counting_observer::request_finished(std::string_view route, std::string_view method, unsigned status,
                                         double seconds) noexcept {
  std::scoped_lock lock{mutex_};
  lines_.push_back(std::string{method} + " " + std::string{route} + " " + std::to_string(status) +
                   (seconds < 0 ? " negative" : ""));
}

std::vector<std::string> counting_observer::lines() {
  std::scoped_lock lock{mutex_};
  return lines_;
}

handler_trace& trace() {
  static handler_trace instance;
  return instance;
}

engine::engine(http::edge_limits limits, std::vector<std::string> cors_origins, bool open)
    : context_{.system = system_,
               .data = data_,
               .metrics = metrics_,
               .ports = http::ingress::port_signer{"a secret of tests"}}
    , router_(test_routes()) {
  trace().entered = trace().ended = trace().hang_ups = 0;
  trace().release = false;
  trace().written = 0;
  context_.limits = limits;
  context_.cors_origins = std::move(cors_origins);
  context_.open = open;
  context_.entrances = &entrances;
  context_.address.host_suffixes = {".sandy.localhost"};
  auto keys = http::key_ring::load({{tenant_id{"acme"}, "secret-key"}});
  REQUIRE(keys);
  context_.authenticate = [ring = std::move(*keys)](std::string_view key) { return ring.owner(key); };
  std::vector<net::io_context*> pointers;
  for (int i = 0; i < 2; ++i) {
    contexts_.push_back(std::make_unique<net::io_context>(1));
    guards_.push_back(net::make_work_guard(*contexts_.back()));
    pointers.push_back(contexts_.back().get());
  }
  server_ = std::make_unique<http::server>(context_, router_, observer, pointers);
  auto bound = server_->start("127.0.0.1:0");
  REQUIRE(bound);
  port = *bound;
  for (auto* io : pointers)
    threads_.emplace_back([io] { io->run(); });
}

engine::door engine::open_door(principal inside) {
  runtime::unique_fd listener{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(::listen(listener.get(), 64) == 0);
  REQUIRE(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  door made{ntohs(address.sin_port), server_->serve_inside(std::move(listener), std::move(inside))};
  REQUIRE(made.owner);
  return made;
}

std::size_t engine::stop(std::chrono::milliseconds grace) {
  stopped_ = true;
  auto left = net::co_spawn(*contexts_.back(), server_->stop(grace), net::use_future);
  return left.get();
}

engine::~engine() {
  if (!stopped_)
    CHECK(stop(0ms) == 0);
  guards_.clear();
  for (auto& io : contexts_)
    io->stop();
  for (auto& thread : threads_)
    thread.join();
  // What has happened and nobody has heard of yet may hold a socket of the other context: neither goes
  // before.
  for (auto& io : contexts_) {
    io->restart();
    io->poll();
  }
  CHECK(observer.opened == observer.closed);
}

raw_client::raw_client(std::uint16_t port, int receive_buffer) {
  socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  timeval patience{20, 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (receive_buffer > 0)
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    ::close(socket_);
    throw std::runtime_error("cannot connect");
  }
}

raw_client::~raw_client() {
  if (socket_ >= 0)
    ::close(socket_);
}

bool send_all(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    auto sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0)
      return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool raw_client::send(std::string_view bytes) { return send_all(socket_, bytes); }

std::string raw_client::receive_bytes(std::size_t count) {
  std::string got;
  while (got.size() < count) {
    auto more = receive_some();
    if (more.empty())
      break;
    got += more;
  }
  return got;
}

bool raw_client::fill() {
  char bytes[65536];
  auto got = ::recv(socket_, bytes, sizeof bytes, 0);
  if (got > 0)
    buffer_.append(bytes, static_cast<std::size_t>(got));
  if (got < 0) {
    reset_seen_ = errno == ECONNRESET;
    if (errno == EAGAIN)
      throw std::runtime_error("the server said nothing for 20 s");
  }
  return got > 0;
}

std::string raw_client::receive_all(bool* reset) {
  while (fill()) {
  }
  if (reset != nullptr)
    *reset = reset_seen_;
  return std::exchange(buffer_, {});
}

response raw_client::receive(bool head) {
  response answer;
  while (buffer_.find("\r\n\r\n") == std::string::npos)
    if (!fill())
      return answer;
  auto end = buffer_.find("\r\n\r\n");
  auto text = buffer_.substr(0, end + 2);
  buffer_.erase(0, end + 4);
  answer.status = static_cast<unsigned>(std::atoi(text.c_str() + text.find(' ') + 1));
  for (auto at = text.find("\r\n") + 2; at < text.size();) {
    auto line_end = text.find("\r\n", at);
    auto line = text.substr(at, line_end - at);
    auto colon = line.find(':');
    auto name = line.substr(0, colon);
    for (auto& c : name)
      c = static_cast<char>(std::tolower(c));
    answer.fields[name] = line.substr(std::min(colon + 2, line.size()));
    at = line_end + 2;
  }
  if (head || answer.status < 200 || answer.status == 204 || answer.status == 304) {
    answer.complete = true;
  } else if (answer.fields.contains("transfer-encoding")) {
    for (;;) {
      while (buffer_.find("\r\n") == std::string::npos)
        if (!fill())
          return answer;
      auto size = std::strtoull(buffer_.c_str(), nullptr, 16);
      buffer_.erase(0, buffer_.find("\r\n") + 2);
      while (buffer_.size() < size + 2)
        if (!fill())
          return answer;
      answer.body.append(buffer_, 0, size);
      buffer_.erase(0, size + 2);
      if (size == 0)
        break;
    }
    answer.complete = true;
  } else if (answer.fields.contains("content-length")) {
    auto size = std::strtoull(answer.fields["content-length"].c_str(), nullptr, 10);
    auto more = true;
    while (more && buffer_.size() < size)
      more = fill();
    answer.complete = buffer_.size() >= size;
    answer.body = buffer_.substr(0, size);
    buffer_.erase(0, answer.body.size());
  } else {
    answer.body = receive_all();
    answer.complete = !reset_seen_;
  }
  return answer;
}

std::string raw_client::receive_some() {
  if (buffer_.empty())
    fill();
  return std::exchange(buffer_, {});
}

void raw_client::shutdown_write() { ::shutdown(socket_, SHUT_WR); }

void raw_client::reset() {
  linger hard{1, 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  ::close(std::exchange(socket_, -1));
}

} // namespace sandy::tests
