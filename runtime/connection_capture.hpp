#pragma once

#include "messages/error.hpp"
#include "runtime/unique_fd.hpp"

#include <cstdint>

namespace sandy::runtime {

/// IPv4 addresses, in host byte order, that share their first bits, and the address of the socket that gets
/// their connections.
struct captured_range {
  std::uint32_t first = 0;
  std::uint32_t mask = 0;
  std::uint32_t listener = 0; ///< in the range or not; nobody else's
  std::uint16_t port = 0;     ///< of the listener; taken at that address alone
};

/// A socket that gets every TCP connection of one network namespace to a range of addresses, whatever the
/// port: what `accept` returns has as its local address the one that was dialled. Connections to other
/// addresses are as ever, and no port of those is taken.
struct connection_capture {
  unique_fd listener; ///< non-blocking; keeps the network namespace, as its connections do
  unique_fd steering; ///< the kernel's link of the program that chooses the socket; closing it ends the
                      ///< capture: connections are refused then. Keeps nothing else
};

/// Captures the TCP connections that processes in the network namespace of another process make to local
/// addresses of a range, such as a part of 127.0.0.0/8. Nothing of it outlives the descriptors: a server that
/// dies leaves no rule behind. A BPF program of type sk_lookup (the kernel's bpf/prog_sk_lookup.rst) rather
/// than rules of the packet filter: it runs once per connection and needs neither connection tracking nor
/// address translation, which cost every packet, and memory that nobody accounts for. Blocking, some
/// milliseconds. Needs CAP_SYS_ADMIN, CAP_BPF and CAP_NET_ADMIN, and kernel 5.9 with CONFIG_BPF_SYSCALL.
/// Fails with feature_unavailable when the kernel cannot do it, with conflict when the listener's address is
/// taken, with sandbox_ended when the process is gone.
result<connection_capture> capture_connections(int pidfd, const captured_range& range);

} // namespace sandy::runtime
