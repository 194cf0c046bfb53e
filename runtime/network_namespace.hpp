#pragma once

#include "messages/error.hpp"
#include "runtime/unique_fd.hpp"

namespace sandy::runtime {

/// A non-blocking TCP socket that belongs to the network namespace of another process: what it connects to,
/// it reaches from there. Blocking for tens of microseconds. Needs CAP_SYS_ADMIN and kernel 5.8 (setns(2)
/// with a pidfd).
/// @param family AF_INET or AF_INET6
result<unique_fd> open_socket_inside(int pidfd, int family);

/// A TCP connection to the loopback address of that namespace, IPv4 first, then IPv6. Blocks at most a
/// second, and only when the listener's queue is full. Fails with upstream_error when nothing listens.
result<unique_fd> connect_inside(int pidfd, std::uint16_t port);

/// A listening TCP socket on 127.0.0.1 of that namespace, non-blocking, with room for 64 connections that
/// nobody has accepted yet. Fails with conflict when the port is taken.
result<unique_fd> listen_inside(int pidfd, std::uint16_t port);

/// Bounds the kernel memory that a connection which nobody reads holds to 256 KiB each way: left alone, the
/// kernel lets it grow to megabytes.
void limit_socket_buffers(int socket) noexcept;

} // namespace sandy::runtime
