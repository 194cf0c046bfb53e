#pragma once

#include "messages/error.hpp"

#include <cerrno>
#include <string>
#include <string_view>

namespace sandy::runtime {

/// True for errors that mean "the host has no room now": memory, disk, descriptors, processes.
bool is_exhaustion(int error) noexcept;

/// True when a helper program's complaint means the same.
bool mentions_exhaustion(std::string_view complaint) noexcept;

/// An error for a failed system call: capacity_exhausted when the host ran out of something, else `code`.
/// @param what what was attempted, in words without host paths, e.g. "cannot attach the disk"
caf::error system_failure(std::string_view what, int error = errno, errc code = errc::internal);

} // namespace sandy::runtime
