#pragma once

#include "runtime/driver.hpp"

#include <chrono>
#include <string>

namespace sandy::test {

/// What a command inside a sandbox did.
struct command_outcome {
  std::string failure; ///< why it could not run, or why its guest's answer broke off; else empty
  int exit_code = -1;
  bool timed_out = false;
  std::string output; ///< standard output
  std::string errors; ///< standard error
};

/// Runs a shell script in a sandbox through its guest and waits for it.
command_outcome run_inside(const runtime::instance& where, const std::string& script,
                           std::chrono::milliseconds timeout = std::chrono::seconds{30});

/// Starts one that goes on by itself. Returns when it has been started. @param group that it is in, see
/// driver::make_group; -1: the sandbox's own.
command_outcome start_inside(const runtime::instance& where, const std::string& script, int group = -1);

} // namespace sandy::test
