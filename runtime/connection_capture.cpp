#include "runtime/connection_capture.hpp"

#include "runtime/foreign_namespace.hpp"
#include "runtime/network_namespace.hpp"
#include "runtime/socket_steering.hpp"
#include "runtime/system_failure.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstddef>

namespace sandy::runtime {

namespace {

constexpr int backlog = 256;

/// Gives connections to the range the one socket, and leaves the others alone.
steering_program choose_socket(const captured_range& range) {
  steering_program program;
  auto others = program.make_label();
  program.load(offsetof(bpf_sk_lookup, family));
  program.jump_if_different(AF_INET, others);
  program.load(offsetof(bpf_sk_lookup, protocol));
  program.jump_if_different(IPPROTO_TCP, others);
  program.load(offsetof(bpf_sk_lookup, local_ip4));
  program.mask(htonl(range.mask));
  program.jump_if_different(htonl(range.first), others);
  program.choose(0);
  program.place(others);
  program.pass();
  return program;
}

} // namespace

result<connection_capture> capture_connections(int pidfd, const captured_range& range) {
  connection_capture made;
  unique_fd network;
  int error = 0;
  auto entered = run_in_namespaces(pidfd, CLONE_NEWNET, [&] {
    made.listener.reset(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    network.reset(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    error = errno;
  });
  if (!made.listener || !network)
    return system_failure("cannot enter the sandbox's network", entered != 0 ? entered : error,
                          errc::sandbox_ended);
  // A server that starts again finds connections of the one before in TIME_WAIT.
  int on = 1;
  ::setsockopt(made.listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  limit_socket_buffers(made.listener.get()); // what it accepts inherits them
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(range.port);
  address.sin_addr.s_addr = htonl(range.listener);
  if (::bind(made.listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(made.listener.get(), backlog) != 0) {
    if (errno == EADDRINUSE)
      return fail(errc::conflict, "the address for connections is taken inside the sandbox");
    return system_failure("cannot listen inside the sandbox");
  }
  auto steering = steer(network.get(), choose_socket(range), {made.listener.get()});
  if (!steering)
    return std::move(steering.error());
  made.steering = std::move(*steering);
  return made;
}

} // namespace sandy::runtime
