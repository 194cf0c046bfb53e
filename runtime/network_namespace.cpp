#include "runtime/network_namespace.hpp"

#include "runtime/foreign_namespace.hpp"
#include "runtime/system_failure.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

namespace sandy::runtime {

namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

/// 0 when connected, else the errno.
int connect_now(int socket, const sockaddr* address, socklen_t size) {
  if (::connect(socket, address, size) == 0)
    return 0;
  if (errno != EINPROGRESS)
    return errno;
  // Loopback answers within the call; only a full accept queue leaves a connection pending.
  constexpr int patience_ms = 1000;
  pollfd item{socket, POLLOUT, 0};
  if (::poll(&item, 1, patience_ms) != 1)
    return ETIMEDOUT;
  int error = 0;
  socklen_t length = sizeof error;
  if (::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &length) != 0)
    return errno;
  return error;
}

} // namespace

result<unique_fd> open_socket_inside(int pidfd, int family) {
  unique_fd made;
  int error = 0;
  auto entered = run_in_namespaces(pidfd, CLONE_NEWNET, [&] {
    made.reset(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    error = errno;
  });
  if (!made)
    return system_failure("cannot enter the sandbox's network", entered != 0 ? entered : error,
                          errc::sandbox_ended);
  return made;
}

result<unique_fd> connect_inside(int pidfd, std::uint16_t port) {
  auto v4 = loopback(port);
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  v6.sin6_addr = in6addr_loopback;
  struct {
    const sockaddr* address;
    socklen_t size;
  } const targets[] = {{reinterpret_cast<const sockaddr*>(&v4), sizeof v4},
                       {reinterpret_cast<const sockaddr*>(&v6), sizeof v6}};
  for (const auto& target : targets) {
    auto socket = open_socket_inside(pidfd, target.address->sa_family);
    if (!socket && target.address == targets[0].address)
      return socket;
    if (!socket)
      break; // a kernel without IPv6
    if (connect_now(socket->get(), target.address, target.size) == 0) {
      int on = 1;
      ::setsockopt(socket->get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); // a wish; nothing breaks without
      return socket;
    }
  }
  return fail(errc::upstream_error, "nothing listens on port " + std::to_string(port) + " of the sandbox");
}

result<unique_fd> listen_inside(int pidfd, std::uint16_t port) {
  constexpr int backlog = 64;
  auto socket = open_socket_inside(pidfd, AF_INET);
  if (!socket)
    return socket;
  // A server that starts again finds connections of the one before in TIME_WAIT on its port.
  int on = 1;
  ::setsockopt(socket->get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  auto address = loopback(port);
  if (::bind(socket->get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      ::listen(socket->get(), backlog) == 0)
    return socket;
  if (errno == EADDRINUSE)
    return fail(errc::conflict, "port " + std::to_string(port) + " of the sandbox is taken");
  return system_failure("cannot listen inside the sandbox");
}

void limit_socket_buffers(int socket) noexcept {
  // A wish: the kernel cuts it to net.core.rmem_max and wmem_max.
  constexpr int bytes = 128 * 1024; // it reserves as much again for its own needs
  ::setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  ::setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

} // namespace sandy::runtime
