#pragma once

#include "messages/error.hpp"
#include "runtime/process.hpp"

#include <functional>
#include <string>
#include <vector>

namespace sandy::runtime {

/// A helper program to run to its end.
struct child_command {
  std::vector<std::string> arguments; ///< the first is the program, an absolute path
  std::vector<int> descriptors; ///< become 3, 4, ... of the child; everything else of ours is closed in it
  steady_time deadline;         ///< killed then
  std::vector<std::string> environment{}; ///< NAME=value, beside PATH
  /// Asked twice a second; killed when it fails. Empty: nobody asks.
  std::function<result<void>()> go_on{};
};

struct child_outcome {
  int exit_status = 0;    ///< 0 to 255; 128 + signal when a signal ended it
  bool timed_out = false; ///< the deadline came and it was killed
  std::string errors;     ///< what it wrote to standard error, at most 16 KiB
};

/// Starts a program in a session of its own, with standard input and output at /dev/null, and waits for it
/// (blocking). Its own children may live on and hold its standard error: only what was written before it
/// exited is read. Fails when it cannot be started, and as `go_on` did; how it ended is not a failure of this
/// function.
result<child_outcome> run_child(const child_command& command);

/// What a program that failed said, as one short printable sentence; its status when it said nothing that can
/// be shown.
std::string complaint(const child_outcome& outcome);

} // namespace sandy::runtime
