#include "runtime/connection_capture.hpp"
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

#include <csignal>
#include <cstring>

using namespace sandy;
using namespace sandy::runtime;

namespace {

constexpr std::uint32_t own = 0x7f000001, first = 0x7f530001, second = 0x7f5300ff, outside = 0x7f540001;
constexpr captured_range range{0x7f530000, 0xffff0000, 0x7f53fffe, 7330};

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
  /// A connection by a process there. 0 or the errno.
  int connect(std::uint32_t to, std::uint16_t port) {
    auto made = open_socket_inside(handle.get(), AF_INET);
    REQUIRE(made);
    auto address = address_of(to, port);
    if (::connect(made->get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 &&
        errno != EINPROGRESS)
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

using endpoint = std::pair<std::uint32_t, std::uint16_t>;

/// Where the next connection that waits was meant to go; zeros when none waits.
endpoint accepted(const unique_fd& listener) {
  unique_fd client{::accept(listener.get(), nullptr, nullptr)};
  if (!client)
    return {};
  sockaddr_in local{};
  socklen_t size = sizeof local;
  REQUIRE(::getsockname(client.get(), reinterpret_cast<sockaddr*>(&local), &size) == 0);
  return {ntohl(local.sin_addr.s_addr), ntohs(local.sin_port)};
}

} // namespace

TEST_CASE_METHOD(lonely_process, "a captured connection tells which address and port it was for",
                 "[capture]") {
  auto made = capture_connections(handle.get(), range);
  INFO((made ? std::string{} : text_of(made.error())));
  REQUIRE(made);
  for (auto to : {endpoint{first, 80}, {second, 65535}, {first, 7330}, {range.listener, 1}}) {
    CHECK(connect(to.first, to.second) == 0);
    CHECK(accepted(made->listener) == to);
  }
}

TEST_CASE_METHOD(lonely_process, "connections to other addresses are as ever", "[capture]") {
  auto everywhere = listen_on_all(4000);
  auto api = listen_inside(handle.get(), range.port); // the listener's port, at another address
  auto made = capture_connections(handle.get(), range);
  REQUIRE((made && api));
  CHECK(connect(own, 4000) == 0);
  CHECK(accepted(everywhere) == endpoint{own, 4000});
  CHECK(connect(outside, 4000) == 0);
  CHECK(accepted(everywhere) == endpoint{outside, 4000});
  CHECK(connect(own, range.port) == 0);
  CHECK(accepted(*api) == endpoint{own, range.port});
  CHECK(connect(own, 4001) == ECONNREFUSED);
  // Whoever listens everywhere gets what is captured no more than anybody else.
  CHECK(connect(first, 4000) == 0);
  CHECK(accepted(everywhere) == endpoint{});
  CHECK(accepted(made->listener) == endpoint{first, 4000});
}

TEST_CASE_METHOD(lonely_process, "a capture ends with its descriptors, and can be made again", "[capture]") {
  auto made = capture_connections(handle.get(), range);
  REQUIRE(made);
  CHECK(code_of(capture_connections(handle.get(), range).error()) == errc::conflict);
  CHECK(connect(first, 80) == 0); // the one that failed took nothing away
  *made = connection_capture{};
  CHECK(connect(first, 80) == ECONNREFUSED);
  auto again = capture_connections(handle.get(), range);
  REQUIRE(again);
  CHECK(connect(first, 80) == 0);
  CHECK(accepted(again->listener) == endpoint{first, 80});
}

TEST_CASE_METHOD(lonely_process, "nothing is captured of a process that is gone", "[capture]") {
  end();
  CHECK(code_of(capture_connections(handle.get(), range).error()) == errc::sandbox_ended);
}
