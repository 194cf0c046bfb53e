#include "runtime/network_capture.hpp"

#include "runtime/foreign_namespace.hpp"
#include "runtime/network_namespace.hpp"
#include "runtime/socket_steering.hpp"
#include "runtime/system_failure.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

namespace sandy::runtime {

namespace {

constexpr std::uint16_t name_port = 53;
constexpr int backlog = 256;
/// Addresses below the usual one that are tried: processes of the sandbox may have taken it while no server
/// was there.
constexpr std::uint32_t other_addresses = 8;
constexpr int question_bytes = 64 * 1024; ///< of kernel memory for questions that wait

/// What the kernel's routing socket takes (rtnetlink(7)): a route to everything of one family, by way of
/// ourselves.
struct route_request {
  nlmsghdr head{};
  rtmsg route{};
  std::byte attributes[64]{};

  void add(unsigned short type, const void* data, std::size_t size) {
    rtattr header{};
    header.rta_type = type;
    header.rta_len = static_cast<unsigned short>(RTA_LENGTH(size));
    auto* to = attributes + used;
    std::memcpy(to, &header, sizeof header);
    std::memcpy(to + RTA_LENGTH(0), data, size);
    used += RTA_ALIGN(header.rta_len);
  }
  std::size_t used = 0;
};

/// @returns 0 or the errno
int make_all_local(int routing, unsigned char family) {
  constexpr int loopback_index = 1; // the first device of every network namespace
  const in_addr own4{htonl(INADDR_LOOPBACK)};
  const in6_addr own6 = IN6ADDR_LOOPBACK_INIT;
  route_request request;
  request.route.rtm_family = family;
  request.route.rtm_table = RT_TABLE_LOCAL;
  request.route.rtm_type = RTN_LOCAL;
  request.route.rtm_scope = RT_SCOPE_HOST;
  request.route.rtm_protocol = RTPROT_STATIC;
  request.add(RTA_OIF, &loopback_index, sizeof loopback_index);
  // Connections come from loopback: one from the address that it goes to could meet itself.
  if (family == AF_INET)
    request.add(RTA_PREFSRC, &own4, sizeof own4);
  else
    request.add(RTA_PREFSRC, &own6, sizeof own6);
  request.head.nlmsg_type = RTM_NEWROUTE;
  request.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
  request.head.nlmsg_len = static_cast<__u32>(offsetof(route_request, attributes) + request.used);
  if (::send(routing, &request, request.head.nlmsg_len, 0) < 0)
    return errno;
  struct {
    nlmsghdr head;
    nlmsgerr error;
    std::byte rest[512];
  } answer{};
  if (::recv(routing, &answer, sizeof answer, 0) < static_cast<ssize_t>(offsetof(decltype(answer), rest)))
    return EPROTO;
  return answer.head.nlmsg_type == NLMSG_ERROR ? -answer.error.error : EPROTO;
}

bool bind_to(int socket, std::uint32_t where, std::uint16_t port, bool ipv6) {
  const auto address = htonl(where);
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  v4.sin_addr.s_addr = address;
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  v6.sin6_addr.s6_addr[10] = v6.sin6_addr.s6_addr[11] = 0xff;
  std::memcpy(v6.sin6_addr.s6_addr + 12, &address, sizeof address);
  const auto* name = ipv6 ? reinterpret_cast<const sockaddr*>(&v6) : reinterpret_cast<const sockaddr*>(&v4);
  return ::bind(socket, name, ipv6 ? sizeof v6 : sizeof v4) == 0;
}

/// Binds to port 53, so that answers come from it. Where a process of the sandbox has that port to itself,
/// which it can take while no server is there, it is another one: then names are not answered, and the rest
/// works.
bool bind_questions(int socket, bool ipv6) {
  for (std::uint32_t below = 0; below < other_addresses; ++below)
    if (bind_to(socket, resolver_address - below, name_port, ipv6))
      return true;
  return bind_to(socket, resolver_address, 0, ipv6);
}

bool set_up(network_capture& made) {
  const int on = 1, off = 0;
  for (auto socket : {made.connections.get(), made.questions.get()}) {
    if (made.ipv6 && ::setsockopt(socket, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0)
      return false;
    // A server that starts again finds connections of the one before.
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  }
  if (!bind_to(made.connections.get(), resolver_address, 0, made.ipv6) ||
      !bind_questions(made.questions.get(), made.ipv6))
    return false;
  limit_socket_buffers(made.connections.get()); // what it accepts inherits them
  ::setsockopt(made.questions.get(), SOL_SOCKET, SO_RCVBUF, &question_bytes, sizeof question_bytes);
  ::setsockopt(made.questions.get(), SOL_SOCKET, SO_SNDBUF, &question_bytes, sizeof question_bytes);
  if (made.ipv6) {
    ::setsockopt(made.questions.get(), IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
    ::setsockopt(made.questions.get(), IPPROTO_IPV6, IPV6_FREEBIND, &on,
                 sizeof on); // to answer from any address
  } else
    ::setsockopt(made.questions.get(), IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
  return ::listen(made.connections.get(), backlog) == 0;
}

steering_program choose_by_kind() {
  steering_program program;
  auto ours = program.make_label(), own = program.make_label(), v6 = program.make_label(),
       datagram = program.make_label(), drop = program.make_label();
  program.load(offsetof(bpf_sk_lookup, family));
  program.jump_if_equal(AF_INET6, v6);
  program.jump_if_different(AF_INET, own);
  program.load(offsetof(bpf_sk_lookup, local_ip4));
  program.jump_if_equal(htonl(resolver_address), ours);
  program.mask(htonl(0xff000000));
  program.jump_if_equal(htonl(0x7f000000), own);
  program.jump(ours);
  program.place(v6);
  for (std::size_t word = 0; word < 3; ++word) {
    program.load(offsetof(bpf_sk_lookup, local_ip6) + 4 * word);
    program.jump_if_different(0, ours);
  }
  program.load(offsetof(bpf_sk_lookup, local_ip6) + 12);
  program.jump_if_equal(htonl(1), own);
  program.place(ours);
  program.load(offsetof(bpf_sk_lookup, protocol));
  program.jump_if_different(IPPROTO_TCP, datagram);
  program.choose(0);
  program.place(datagram);
  program.load(offsetof(bpf_sk_lookup, local_port)); // in host byte order, unlike the rest
  program.jump_if_different(name_port, drop);
  program.choose(1);
  program.place(drop); // also from sockets of the sandbox that would take it: it is not meant for them
  program.refuse();
  program.place(own);
  program.pass();
  return program;
}

} // namespace

result<network_capture> capture_network(int pidfd) {
  network_capture made;
  unique_fd network, routing;
  int error = 0;
  auto entered = run_in_namespaces(pidfd, CLONE_NEWNET, [&] {
    auto open_both = [&](int family) {
      made.connections.reset(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      made.questions.reset(::socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      return made.connections && made.questions;
    };
    made.ipv6 = open_both(AF_INET6);
    if (!made.ipv6)
      open_both(AF_INET);
    routing.reset(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    network.reset(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    error = errno;
  });
  if (!made.connections || !made.questions || !routing || !network)
    return system_failure("cannot enter the sandbox's network", entered != 0 ? entered : error,
                          errc::sandbox_ended);
  if (!set_up(made))
    return system_failure("cannot listen inside the sandbox");
  auto steering = steer(network.get(), choose_by_kind(), {made.connections.get(), made.questions.get()});
  if (!steering)
    return std::move(steering.error());
  made.steering = std::move(*steering);
  // Last: what comes is captured from the first moment on.
  if (auto failed = make_all_local(routing.get(), AF_INET); failed != 0)
    return system_failure("cannot make every address local inside the sandbox", failed);
  if (made.ipv6)
    make_all_local(routing.get(), AF_INET6); // a machine may have IPv6 switched off: then nothing goes there
  return made;
}

} // namespace sandy::runtime
