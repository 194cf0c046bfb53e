#pragma once

#include "messages/error.hpp"
#include "runtime/unique_fd.hpp"

#include <chrono>
#include <string>

namespace sandy::runtime {

/// The longest path of a Unix socket (unix(7)).
inline constexpr std::size_t longest_socket_path = 107;

/// A socket that listens at a path, which must not exist and be at most `longest_socket_path` long: for a
/// guest to accept on. The caller makes sure of both. Fails with internal, capacity_exhausted (the disk).
result<unique_fd> listen_at(const std::string& path);

/// Waits until a guest connects to a listener and passes it a descriptor (SCM_RIGHTS), as `sandy-guest
/// --hatch` wants it. Fails with sandbox_failed when nobody comes by the deadline.
result<void> pass_through_hatch(int hatch, int descriptor, std::chrono::steady_clock::time_point deadline);

} // namespace sandy::runtime
