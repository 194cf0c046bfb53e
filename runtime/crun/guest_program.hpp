#pragma once

#include "messages/error.hpp"
#include "runtime/unique_fd.hpp"

#include <string>

namespace sandy::runtime {

/// A program as an anonymous file in memory that nobody can change any more (memfd_create(2), sealed), open
/// for reading and executing. Sandboxes execute it through an inherited descriptor: all share its pages, none
/// has a mount for it that would show a path of the host, and a sandbox that wrote to the program of its
/// process 1 would write to nobody's else.
result<unique_fd> seal_program(const std::string& path);

} // namespace sandy::runtime
