#include "runtime/guest/connection.hpp"

#include "runtime/guest/failures.hpp"
#include "runtime/unique_fd.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

namespace sandy::guest {

namespace asio = boost::asio;

namespace {

constexpr auto token = asio::as_tuple(asio::use_awaitable_t<io_executor>{});
/// One read: large enough for a data frame and its header.
constexpr std::size_t read_bytes = piece_bytes + header_bytes;
/// A guest whose backlog is full is given this many milliseconds to accept.
constexpr int connect_patience_ms = 5000;

caf::error ended_as(const end_state& state) {
  auto reason = state.reason.load();
  // A guest that vanished before its actor noticed: its process 1 died.
  return fail(errc::sandbox_ended, sentence(reason == end_reason::none ? end_reason::failed : reason));
}

} // namespace

io_task<result<std::unique_ptr<connection>>> connection::open(std::string path,
                                                              std::shared_ptr<end_state> ended) {
  auto executor = co_await asio::this_coro::executor;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    co_return fail(errc::internal, "The path of a guest's socket is too long");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  runtime::unique_fd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!fd)
    co_return fail(errc::capacity_exhausted,
                   std::string{"The server is out of descriptors: "} + std::strerror(errno));
  // Connecting a unix socket never takes time, but a full backlog answers EAGAIN, which a poll cannot wait
  // for.
  for (int waited = 0; ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0;
       ++waited) {
    if (errno != EAGAIN && errno != EINTR)
      co_return ended_as(*ended);
    if (waited == connect_patience_ms)
      co_return fail(errc::limit_reached, "The sandbox is too busy to take another request");
    asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>,
                               io_executor>
        pause{executor, std::chrono::milliseconds{1}};
    auto [ec] = co_await pause.async_wait(token);
    if (ec)
      co_return fail(errc::cancelled, "The request was cancelled");
  }
  co_return std::make_unique<connection>(socket{executor, asio::local::stream_protocol{}, fd.release()},
                                         std::move(ended));
}

caf::error connection::violation() const {
  if (ended_->on_violation)
    ended_->on_violation();
  return fail(errc::sandbox_failed, "The sandbox's first process broke its protocol");
}

caf::error connection::broken(const boost::system::error_code& why) const {
  if (why == asio::error::operation_aborted)
    return fail(errc::cancelled, "The request was cancelled");
  return ended_as(*ended_);
}

io_task<std::size_t> connection::pass(std::string_view bytes, const runtime::unique_fd& passed) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  auto* part = CMSG_FIRSTHDR(&message);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(sizeof(int));
  auto descriptor = passed.get();
  std::memcpy(CMSG_DATA(part), &descriptor, sizeof descriptor);
  for (;;) {
    auto count = ::sendmsg(socket_.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count >= 0)
      co_return static_cast<std::size_t>(count);
    if (errno == EINTR)
      continue;
    if (errno != EAGAIN)
      co_return 0; // what is sent next fails as well, and says why
    auto [ec] = co_await socket_.async_wait(socket::wait_write, token);
    if (ec)
      co_return 0;
  }
}

io_task<result<void>> connection::send(std::string frames, std::shared_ptr<const runtime::unique_fd> passed) {
  std::size_t gone = 0;
  if (passed)
    gone = co_await pass(frames, *passed);
  auto [ec, count] = co_await asio::async_write(socket_, asio::buffer(frames) + gone, token);
  static_cast<void>(count);
  if (!ec)
    co_return caf::unit;
  if (ec == asio::error::operation_aborted)
    co_return broken(ec);
  // The guest closed early and has said why; or it is gone.
  for (;;) {
    auto last = co_await receive();
    if (!last)
      co_return std::move(last.error());
  }
}

io_task<bool> connection::try_send(std::string frames) {
  auto [ec, count] = co_await asio::async_write(socket_, asio::buffer(frames), token);
  static_cast<void>(count);
  co_return !ec;
}

io_task<result<connection::frame>> connection::receive() {
  for (;;) {
    raw_frame found;
    switch (find_frame(std::string_view{buffer_}.substr(used_), max_reply_payload, found)) {
    case frame_search::found: {
      frame next{static_cast<frame_type>(found.type), std::string{found.payload}};
      used_ += header_bytes + found.payload.size();
      if (used_ == buffer_.size()) {
        buffer_.clear();
        used_ = 0;
      }
      if (next.type != frame_type::failed)
        co_return std::move(next);
      auto why = decode<failure>(next.payload);
      if (!why)
        co_return violation();
      refusal_ = why->error;
      co_return error_of(*why);
    }
    case frame_search::too_large:
      co_return violation();
    case frame_search::incomplete:
      break;
    }
    buffer_.erase(0, std::exchange(used_, 0));
    auto had = buffer_.size();
    buffer_.resize(had + read_bytes);
    auto [ec, count] =
        co_await socket_.async_read_some(asio::buffer(buffer_.data() + had, read_bytes), token);
    buffer_.resize(had + count);
    if (ec)
      co_return broken(ec);
  }
}

io_task<result<void>> connection::expect(frame_type type) {
  auto next = co_await receive();
  if (!next)
    co_return std::move(next.error());
  if (next->type != type)
    co_return violation();
  co_return caf::unit;
}

} // namespace sandy::guest
