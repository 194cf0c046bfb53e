#include "runtime/guest_listener.hpp"

#include "runtime/process.hpp"
#include "runtime/system_failure.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

namespace sandy::runtime {

result<unique_fd> listen_at(const std::string& path) {
  unique_fd listener{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  static_assert(longest_socket_path == sizeof address.sun_path - 1);
  path.copy(address.sun_path, longest_socket_path);
  constexpr int queue = 512; // connections that wait for the guest; one is one operation
  if (!listener || ::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener.get(), queue) != 0)
    return system_failure("cannot listen for the guest");
  return listener;
}

result<void> pass_through_hatch(int hatch, int descriptor, steady_time deadline) {
  pollfd item{hatch, POLLIN, 0};
  int ready;
  do
    ready = ::poll(&item, 1, milliseconds_until(deadline));
  while (ready < 0 && errno == EINTR);
  if (ready != 1)
    return fail(errc::sandbox_failed, "the guest did not come for its socket in time");
  unique_fd guest{::accept4(hatch, nullptr, nullptr, SOCK_CLOEXEC)};
  if (!guest)
    return system_failure("cannot meet the guest");
  char byte = 0;
  iovec content{&byte, 1};
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &content;
  message.msg_iovlen = 1;
  message.msg_control = space;
  message.msg_controllen = sizeof space;
  auto* part = CMSG_FIRSTHDR(&message);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(part), &descriptor, sizeof descriptor);
  if (::sendmsg(guest.get(), &message, MSG_NOSIGNAL) != 1)
    return system_failure("cannot pass the guest its socket");
  return caf::unit;
}

} // namespace sandy::runtime
