#include "http/connection.hpp"

#include "http/timed.hpp"
#include "http/tls_stream.hpp"

#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <cerrno>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

namespace sandy::http {

namespace net = boost::asio;

namespace {

// What the kernel may hold of an answer that was not sent yet. Without it a reader that stopped makes the
// kernel buffer megabytes per connection; a smaller send buffer would slow fast readers far away.
constexpr int unsent_bytes = 128 * 1024;

// How often a client that sent more than we read ahead is looked at, while a handler waits for it to hang up.
constexpr std::chrono::milliseconds hang_up_poll{250};

// What a client may still send after its last answer; more, and it gets the reset. Many clients send their
// whole body before they look for an answer: twice the largest JSON body reaches them all.
constexpr std::size_t farewell_bytes = 128 * 1024 * 1024;

/// At least a millisecond: 0 would be for ever.
std::chrono::milliseconds left_until(std::chrono::steady_clock::time_point end) {
  auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
  return std::max(std::chrono::milliseconds{1}, left);
}

bool any_left(const connection::pieces& bytes) {
  return std::ranges::any_of(bytes, [](std::string_view piece) { return !piece.empty(); });
}

void drop_front(connection::pieces& bytes, std::size_t count) {
  for (auto& piece : bytes) {
    auto taken = std::min(count, piece.size());
    piece.remove_prefix(taken);
    count -= taken;
  }
}

/// One system call. @returns what it says.
ssize_t send_once(int socket, const connection::pieces& bytes) {
  constexpr int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
  std::array<iovec, std::tuple_size_v<connection::pieces>> vectors{};
  std::size_t used = 0;
  for (auto piece : bytes)
    if (!piece.empty())
      vectors[used++] = {const_cast<char*>(piece.data()), piece.size()}; // sendmsg does not write to it
  // One piece is the usual case, and without a message around it the kernel has less to copy and check.
  if (used == 1)
    return ::send(socket, vectors[0].iov_base, vectors[0].iov_len, flags);
  msghdr message{};
  message.msg_iov = vectors.data();
  message.msg_iovlen = used;
  return ::sendmsg(socket, &message, flags);
}

io_task<io_status> at_once(io_status outcome) { co_return outcome; }

} // namespace

connection::connection(socket accepted, std::shared_ptr<shard> home)
    : socket_(std::move(accepted))
    , shard_(std::move(home))
    , read_deadline_(
          *shard_->wheel,
          [](void* self) {
            static_cast<connection*>(self)->read_expired_ = true;
            boost::system::error_code ignored; // cancel fails on closed sockets only
            static_cast<connection*>(self)->socket_.cancel(ignored);
          },
          this)
    , write_deadline_(
          *shard_->wheel,
          [](void* self) {
            static_cast<connection*>(self)->write_expired_ = true;
            boost::system::error_code ignored;
            static_cast<connection*>(self)->socket_.cancel(ignored);
          },
          this) {
  if (socket_.is_open())
    tune();
}

void connection::tune() noexcept {
  // Both are about speed: a socket without them still works.
  boost::system::error_code ignored;
  socket_.set_option(net::ip::tcp::no_delay{true}, ignored);
  ::setsockopt(socket_.native_handle(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent_bytes, sizeof unsent_bytes);
}

connection::~connection() { shard_->buffers.release(buffer_); }

io_task<result<void>> connection::greet(std::unique_ptr<tls_stream> side, std::chrono::milliseconds timeout) {
  const auto give_up = std::chrono::steady_clock::now() + timeout;
  tls_ = std::move(side);
  for (;;) {
    auto met = tls_->handshake(socket_.native_handle());
    auto status = co_await send({}, left_until(give_up)); // an alert, too
    if (met == io_status::closed)
      co_return fail(errc::upstream_error, tls_->refusal());
    if (met == io_status::ok && status == io_status::ok)
      co_return caf::unit;
    if (status == io_status::ok)
      status = co_await wait(net::socket_base::wait_read, read_deadline_, read_expired_, left_until(give_up));
    if (status != io_status::ok)
      co_return fail(errc::upstream_error,
                     status == io_status::timed_out ? "did not answer in time" : "broke the connection off");
  }
}

io_status connection::receive(char* into, std::size_t size, std::size_t& count) {
  count = 0;
  if (end_seen_)
    return io_status::closed;
  if (tls_)
    return receive_sealed(into, size, count);
  for (;;) {
    auto got = ::recv(socket_.native_handle(), into, size, MSG_DONTWAIT);
    if (got > 0) {
      count = static_cast<std::size_t>(got);
      return io_status::ok;
    }
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
      return io_status::would_block;
    broken_ = got < 0;
    end_seen_ = true;
    return io_status::closed;
  }
}

io_status connection::receive_sealed(char* into, std::size_t size, std::size_t& count) {
  auto status = tls_->receive(socket_.native_handle(), into, size, count);
  send_sealed(); // what TLS itself answers; what does not fit goes with the next that is sent
  if (status == io_status::closed) {
    end_seen_ = true;
    broken_ = !tls_->ended();
  }
  return status;
}

io_status connection::receive(std::size_t most) {
  if (!shard_->buffers.prepare(buffer_, most))
    return io_status::ok;
  std::size_t count = 0;
  auto status = receive(buffer_.memory_.get() + buffer_.end_, buffer_.capacity_ - buffer_.end_, count);
  buffer_.end_ += count;
  return status;
}

io_task<io_status> connection::wait(wait_type what, deadline& until, bool& expired,
                                    std::chrono::milliseconds timeout) {
  expired = false;
  if (timeout.count() > 0)
    until.set(timeout);
  for (;;) {
    if (interrupted_ || !socket_.is_open())
      co_return io_status::closed;
    auto [ec] = co_await socket_.async_wait(what, as_values);
    if (!ec || expired) {
      until.clear();
      co_return ec ? io_status::timed_out : io_status::ok;
    }
    // The deadline of the other direction wakes us too; then we go on waiting.
    auto state = co_await net::this_coro::cancellation_state;
    if (ec != net::error::operation_aborted || state.cancelled() != net::cancellation_type::none) {
      until.clear();
      co_return io_status::closed;
    }
  }
}

io_task<io_status> connection::wait_for_bytes(deadline& until, bool& expired,
                                              std::chrono::milliseconds timeout) {
  if (tls_ && tls_->at_hand() && !interrupted_ && socket_.is_open())
    return at_once(io_status::ok);
  return wait(net::socket_base::wait_read, until, expired, timeout);
}

io_task<io_status> connection::wait_readable(std::chrono::milliseconds timeout) {
  if (buffer_.empty())
    shard_->buffers.release(buffer_);
  return wait_for_bytes(read_deadline_, read_expired_, timeout);
}

bool connection::has_unread() const noexcept { return !buffer_.empty() || (tls_ && tls_->has_unread()); }

io_status connection::send_some(pieces& rest) {
  return tls_ ? send_some_sealed(rest) : send_some_plain(rest);
}

io_status connection::send_some_plain(pieces& rest) {
  while (any_left(rest)) {
    auto sent = send_once(socket_.native_handle(), rest);
    if (sent >= 0)
      drop_front(rest, static_cast<std::size_t>(sent));
    else if (errno == EAGAIN || errno == EWOULDBLOCK)
      return io_status::would_block;
    else if (errno != EINTR)
      return io_status::closed;
  }
  return io_status::ok;
}

io_status connection::send_some_sealed(pieces& rest) {
  auto status = io_status::ok;
  do
    status = tls_->seal(rest) ? send_sealed() : io_status::closed;
  while (status == io_status::ok && any_left(rest));
  return status;
}

io_status connection::send_sealed() {
  while (!tls_->sealed().empty()) {
    auto bytes = tls_->sealed();
    auto sent = ::send(socket_.native_handle(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0)
      tls_->sent(static_cast<std::size_t>(sent));
    else if (errno == EAGAIN || errno == EWOULDBLOCK)
      return io_status::would_block;
    else if (errno != EINTR)
      return io_status::closed;
  }
  return io_status::ok;
}

io_task<io_status> connection::send(pieces bytes, std::chrono::milliseconds stall_timeout) {
  for (;;) {
    auto status = send_some(bytes);
    if (status != io_status::would_block)
      co_return status;
    status = co_await wait(net::socket_base::wait_write, write_deadline_, write_expired_, stall_timeout);
    if (status != io_status::ok)
      co_return status;
  }
}

io_task<io_status> connection::shutdown_send(std::chrono::milliseconds stall_timeout) {
  auto status = io_status::ok;
  if (tls_) {
    tls_->seal_end();
    status = co_await send({}, stall_timeout);
  }
  boost::system::error_code ignored; // fails on broken sockets only
  socket_.shutdown(net::socket_base::shutdown_send, ignored);
  co_return status;
}

io_task<void> connection::peer_closed(std::size_t most) {
  bool no_deadline = false;
  deadline unused{*shard_->wheel, [](void*) {}, nullptr};
  while (!end_seen_) {
    if (buffer_.size() < most) {
      auto status = co_await wait_for_bytes(unused, no_deadline, std::chrono::milliseconds{0});
      if (status != io_status::ok)
        co_return;
      receive(most);
      continue;
    }
    // More bytes than we keep lie before the end.
    if (has_peer_closed())
      co_return;
    io_timer pause{shard_->io_context.get_executor(), hang_up_poll};
    auto [ec] = co_await pause.async_wait(as_values);
    if (ec)
      co_return;
  }
}

bool connection::has_peer_closed() noexcept {
  // Only the kernel can see past bytes that were not read.
  pollfd handle{socket_.native_handle(), POLLRDHUP, 0};
  return end_seen_ || (::poll(&handle, 1, 0) > 0 && (handle.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0);
}

io_task<void> connection::close_gently(std::chrono::milliseconds patience) {
  const auto give_up = std::chrono::steady_clock::now() + patience;
  auto told = co_await shutdown_send(patience);
  tls_.reset(); // what is forgotten need not be understood
  for (std::size_t forgotten = 0; told == io_status::ok && forgotten < farewell_bytes;) {
    buffer_.consume(buffer_.size());
    auto status = receive(buffer_pool::usual_bytes);
    forgotten += buffer_.size();
    if (status == io_status::would_block) {
      auto left = std::chrono::ceil<std::chrono::milliseconds>(give_up - std::chrono::steady_clock::now());
      if (left.count() <= 0)
        break;
      status = co_await wait(net::socket_base::wait_read, read_deadline_, read_expired_, left);
    }
    if (status != io_status::ok)
      break;
  }
  boost::system::error_code ignored; // closed it is in any case
  socket_.close(ignored);
}

void connection::abort() noexcept {
  boost::system::error_code ignored; // the socket is closed by the next line in any case
  socket_.set_option(net::socket_base::linger{true, 0}, ignored);
  socket_.close(ignored);
}

void connection::interrupt() noexcept {
  interrupted_ = true;
  boost::system::error_code ignored; // cancel fails on closed sockets only
  socket_.cancel(ignored);
}

} // namespace sandy::http
