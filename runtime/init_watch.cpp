#include "runtime/init_watch.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fcntl.h>
#include <poll.h>

#include <cerrno>
#include <cstring>

namespace sandy::runtime {

io_task<result<void>> init_ended(std::shared_ptr<instance> which) {
  auto executor = co_await boost::asio::this_coro::executor;
  // A duplicate: the descriptor object closes what it holds.
  unique_fd pidfd{::fcntl(which->init.get(), F_DUPFD_CLOEXEC, 0)};
  if (!pidfd)
    co_return fail(errc::internal, std::string{"cannot watch process 1: "} + std::strerror(errno));
  boost::asio::posix::basic_stream_descriptor<io_executor> watched{executor, pidfd.release()};
  auto token = boost::asio::as_tuple(boost::asio::use_awaitable_t<io_executor>{});
  // Asio may complete a wait for an event that was meant for an earlier user of the same slot: the descriptor
  // decides.
  for (;;) {
    auto [ec] = co_await watched.async_wait(boost::asio::posix::descriptor_base::wait_read, token);
    if (ec)
      co_return fail(errc::cancelled, ec.message());
    pollfd ended{watched.native_handle(), POLLIN, 0};
    if (::poll(&ended, 1, 0) > 0)
      co_return caf::unit;
  }
}

} // namespace sandy::runtime
