#include "runtime/guest/lease.hpp"

#include "runtime/guest/connection.hpp"

namespace sandy::guest {

io_task<result<void>> renew_lease(std::string socket_path, std::chrono::milliseconds lease) {
  auto link = co_await connection::open(std::move(socket_path), std::make_shared<end_state>());
  if (!link)
    co_return std::move(link.error());
  std::string request;
  append_frame(request, lease_request{static_cast<std::uint64_t>(lease.count())});
  auto sent = co_await (*link)->send(std::move(request));
  if (!sent)
    co_return std::move(sent);
  auto renewed = co_await (*link)->expect(frame_type::done);
  co_return std::move(renewed);
}

} // namespace sandy::guest
