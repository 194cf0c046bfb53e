#pragma once

#include "runtime/foreign_namespace.hpp"
#include "runtime/network_namespace.hpp"

#include <catch2/catch.hpp>

#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <functional>

namespace sandy::runtime {

/// A process alone in a network namespace, as a sandbox's are.
struct lonely_process {
  lonely_process() {
    int ready[2];
    REQUIRE(::pipe(ready) == 0);
    pid = ::fork();
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ifreq loopback{};
      std::strcpy(loopback.ifr_name, "lo");
      loopback.ifr_flags = IFF_UP | IFF_LOOPBACK;
      char yes = ::unshare(CLONE_NEWNET) == 0 &&
                 ::ioctl(::socket(AF_INET, SOCK_DGRAM, 0), SIOCSIFFLAGS, &loopback) == 0;
      if (::write(ready[1], &yes, 1) == 1)
        ::pause();
      ::_exit(0);
    }
    char yes = 0;
    REQUIRE(pid > 0);
    REQUIRE(::read(ready[0], &yes, 1) == 1);
    REQUIRE(yes);
    ::close(ready[0]);
    ::close(ready[1]);
    handle.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    REQUIRE(handle);
  }
  ~lonely_process() { end(); }
  void end() {
    if (pid > 0) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
    }
    pid = -1;
  }
  /// A descriptor that `open` makes there.
  unique_fd inside(const std::function<int()>& open) {
    unique_fd made;
    REQUIRE(run_in_namespaces(handle.get(), CLONE_NEWNET, [&] { made.reset(open()); }) == 0);
    REQUIRE(made);
    return made;
  }
  /// A connection by a process there. 0 or the errno.
  int connect(std::uint32_t to, std::uint16_t port) {
    auto address = address_of(to, port);
    return connect_to(reinterpret_cast<sockaddr*>(&address), sizeof address, AF_INET);
  }
  int connect_to(const sockaddr* to, socklen_t to_size, int family) {
    auto made = open_socket_inside(handle.get(), family);
    REQUIRE(made);
    if (::connect(made->get(), to, to_size) != 0 && errno != EINPROGRESS)
      return errno;
    pollfd item{made->get(), POLLOUT, 0};
    REQUIRE(::poll(&item, 1, 10'000) == 1);
    int error = 0;
    socklen_t size = sizeof error;
    REQUIRE(::getsockopt(made->get(), SOL_SOCKET, SO_ERROR, &error, &size) == 0);
    client = std::move(*made);
    return error;
  }
  unique_fd listen_on_all(std::uint16_t port) {
    auto made = open_socket_inside(handle.get(), AF_INET);
    REQUIRE(made);
    auto address = address_of(INADDR_ANY, port);
    REQUIRE(::bind(made->get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(made->get(), 4) == 0);
    return std::move(*made);
  }
  static sockaddr_in address_of(std::uint32_t ip, std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(ip);
    return address;
  }

  pid_t pid = -1;
  unique_fd handle, client;
};

} // namespace sandy::runtime
