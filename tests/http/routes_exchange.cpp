// The exchange in memory: a request that a test made, and the answer that a handler gave.

#include "http/routes_support.hpp"

#include "http/errors.hpp"

#include <boost/asio/as_tuple.hpp>

#include <netinet/in.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <stdexcept>

namespace sandy::tests {

namespace asio = boost::asio;
using http::io_timer;
using http::routes::use_io;

namespace {

/// Nobody counts requests in memory.
http::http_observer& unheard() {
  class silence final : public http::http_observer {
    void connection_opened() noexcept override {}
    void connection_closed() noexcept override {}
    void request_finished(std::string_view, std::string_view, unsigned, double) noexcept override {}
  };
  static silence instance;
  return instance;
}

} // namespace

memory_exchange::memory_exchange(http::context& server, const http::router& routes, io_executor executor)
    : server_(server)
    , routes_(routes)
    , hung_up_(executor, io_timer::time_point::max()) {}

io_task<void> memory_exchange::run() {
  if (!parsed_.parse(target))
    throw std::logic_error("bad target " + target);
  match_ = routes_.find(verb, parsed_.segments());
  if (match_.found == nullptr)
    throw std::logic_error("no route for " + verb + " " + target);
  co_await match_.found->handle(*this);
}

void memory_exchange::leave() {
  gone_ = true;
  hung_up_.cancel();
}

nlohmann::json memory_exchange::json() const { return nlohmann::json::parse(sent); }

std::string memory_exchange::sent_header(std::string_view name) const {
  for (const auto& [key, value] : sent_headers)
    if (key == name)
      return value;
  return {};
}

std::string_view memory_exchange::param(std::string_view name) const {
  for (std::size_t i = 0; i < match_.params; ++i)
    if (match_.names[i] == name)
      return parsed_.segments()[match_.segments[i]];
  return {};
}

std::string_view memory_exchange::header(std::string_view name) const {
  for (const auto& [key, value] : headers)
    if (key.size() == name.size() && ::strncasecmp(key.data(), name.data(), key.size()) == 0)
      return value;
  return {};
}

std::optional<std::uint64_t> memory_exchange::content_length() const noexcept {
  std::uint64_t size = 0;
  for (const auto& piece : pieces)
    size += piece.size();
  return size;
}

io_task<result<std::string>> memory_exchange::read_body(std::uint64_t limit) {
  std::string all;
  for (;;) {
    auto piece = co_await read_some();
    if (!piece)
      co_return piece;
    if (piece->empty())
      co_return all;
    all += *piece;
    if (all.size() > limit)
      co_return fail(errc::payload_too_large, "too large");
  }
}

io_task<result<std::string>> memory_exchange::read_some() {
  if (pieces.empty()) {
    if (body_error)
      co_return body_error;
    co_return std::string{};
  }
  auto piece = std::move(pieces.front());
  pieces.pop_front();
  co_return piece;
}

void memory_exchange::begin(unsigned code, std::string_view content_type, http::header_list extra) {
  if (status != 0)
    throw std::logic_error("answered twice");
  status = code;
  type = content_type;
  sent_headers = std::move(extra);
}

io_task<void> memory_exchange::reply(unsigned code, const nlohmann::json& body, http::header_list extra) {
  begin(code, "application/json", std::move(extra));
  sent = body.dump(); // throws where a handler let through what is not UTF-8
  ended = true;
  co_return;
}

io_task<void> memory_exchange::reply_bytes(unsigned code, std::string_view content_type, std::string body,
                                           http::header_list extra) {
  begin(code, content_type, std::move(extra));
  sent = std::move(body);
  ended = true;
  co_return;
}

io_task<void> memory_exchange::reply_error(const caf::error& err) {
  begin(http::to_status(err), "application/json", {});
  sent = http::error_body(err);
  ended = true;
  co_return;
}

io_task<result<void>> memory_exchange::begin_stream(unsigned code, std::string_view content_type,
                                                    std::optional<std::uint64_t> length,
                                                    http::header_list extra) {
  begin(code, content_type, std::move(extra));
  announced = length;
  co_return caf::unit;
}

io_task<result<void>> memory_exchange::write(std::string_view bytes) {
  largest_write = std::max(largest_write, bytes.size());
  if (gone_ || sent.size() + bytes.size() > takes)
    co_return fail(errc::cancelled, "The client is gone");
  sent += bytes;
  if (announced && sent.size() > *announced)
    throw std::logic_error("more than announced");
  co_return caf::unit;
}

io_task<void> memory_exchange::end_stream() {
  ended = !announced || sent.size() == *announced || verb == "HEAD";
  co_return;
}

io_task<void> memory_exchange::hang_up() {
  while (!gone_)
    co_await hung_up_.async_wait(asio::as_tuple(use_io));
}

runtime::unique_fd memory_exchange::connect() {
  runtime::unique_fd listener{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  runtime::unique_fd client{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof where;
  auto* address = reinterpret_cast<sockaddr*>(&where);
  if (::bind(listener.get(), address, size) != 0 || ::listen(listener.get(), 1) != 0 ||
      ::getsockname(listener.get(), address, &size) != 0 || ::connect(client.get(), address, size) != 0)
    throw std::runtime_error("no connection on loopback");
  accepted_ = runtime::unique_fd{::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)};
  timeval patience{20, 0};
  ::setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return client;
}

http::shard& memory_exchange::home() {
  if (!shard_) {
    auto common = std::make_shared<http::edge>(server_, routes_, unheard());
    auto& io = static_cast<asio::io_context&>(hung_up_.get_executor().context());
    shard_ = std::make_shared<http::shard>(io, std::move(common), std::chrono::milliseconds{50});
  }
  return *shard_;
}

void memory_exchange::begin_passed(const http::passed_answer& head) {
  begin(head.status, {}, {});
  announced = head.length;
}

http::connection& memory_exchange::take_over() {
  begin(101, {}, {});
  if (!accepted_)
    throw std::logic_error("a handler took over a connection that the test did not make");
  http::connection::socket socket{hung_up_.get_executor()};
  socket.assign(asio::ip::tcp::v4(), accepted_.get());
  [[maybe_unused]] auto owned_by_the_socket = accepted_.release();
  home();
  taken_ = std::make_unique<http::connection>(std::move(socket), shard_);
  return *taken_;
}

} // namespace sandy::tests
