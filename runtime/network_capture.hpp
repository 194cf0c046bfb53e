#pragma once

#include "messages/error.hpp"
#include "runtime/unique_fd.hpp"

#include <cstdint>

namespace sandy::runtime {

/// Where a sandbox finds its name server: an address of 127.0.0.0/8 that nothing else uses, host byte order.
/// Its /etc/resolv.conf names it (runtime/disk_files.hpp).
inline constexpr std::uint32_t resolver_address = 0x7f53fffd; // 127.83.255.253

/// Sockets that get what processes in one network namespace send to the world. What `accept` returns has as
/// its local address the one that was dialled.
struct network_capture {
  unique_fd connections; ///< a listening socket for TCP, IPv6 that takes IPv4 too where there is IPv6;
                         ///< non-blocking. Keeps the network namespace, as its connections do
  unique_fd
      questions; ///< for datagrams to port 53 of any address: each tells its own (IPV6_PKTINFO, IP_PKTINFO)
  unique_fd steering; ///< the kernel's link of the program that chooses between them; closing it ends it
  bool ipv6 = true;   ///< the family of both
};

/// Captures all TCP connections that processes in the network namespace of another process make, to any port
/// of any address but 127.0.0.0/8 and ::1, and their datagrams to port 53; refuses all other datagrams to the
/// world. Every address is made local there (a route of type local, which ip-route(8) calls AnyIP), so that
/// nothing leaves it: without this capture nothing is reached either. Blocking, below a millisecond. Needs
/// what `capture_connections` needs. Fails with feature_unavailable when the kernel cannot do it, with
/// sandbox_ended when the process is gone.
result<network_capture> capture_network(int pidfd);

} // namespace sandy::runtime
