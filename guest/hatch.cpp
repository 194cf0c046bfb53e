#include "guest/hatch.hpp"

#include "runtime/unique_fd.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

namespace sandy::guest {

using runtime::unique_fd;

bool take_listener(const char* path, int number) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  auto length = std::strlen(path);
  if (length >= sizeof address.sun_path)
    return false;
  std::memcpy(address.sun_path, path, length);
  unique_fd hatch{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (!hatch || ::connect(hatch.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return false;
  char byte;
  iovec content{&byte, 1};
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof(int))];
  msghdr message{};
  message.msg_iov = &content;
  message.msg_iovlen = 1;
  message.msg_control = space;
  message.msg_controllen = sizeof space;
  if (::recvmsg(hatch.get(), &message, MSG_CMSG_CLOEXEC) != 1)
    return false;
  auto* part = CMSG_FIRSTHDR(&message);
  if (part == nullptr || part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS ||
      part->cmsg_len != CMSG_LEN(sizeof(int)))
    return false;
  int given = -1;
  std::memcpy(&given, CMSG_DATA(part), sizeof given);
  unique_fd listener{given};
  if (given == number) {
    [[maybe_unused]] int kept = listener.release();
    return true;
  }
  // The hatch itself may have that number: it is closed by this.
  if (hatch.get() == number) {
    [[maybe_unused]] int taken = hatch.release();
  }
  return ::dup2(listener.get(), number) == number;
}

} // namespace sandy::guest
