#pragma once

#include "messages/error.hpp"
#include "runtime/unique_fd.hpp"

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sandy::runtime {

using steady_time = std::chrono::steady_clock::time_point;

/// When a process started, in clock ticks since boot (field 22 of /proc/PID/stat, proc(5)); nothing when
/// there is no such process. Together with the pid it names a process for ever.
std::optional<std::uint64_t> process_start_ticks(pid_t pid);

/// The host's uid of the user that the process, and its namespace, call 0; nothing when there is no such
/// process or user.
std::optional<std::uint32_t> host_uid_of_root(pid_t pid);

/// A pidfd of a process that is not necessarily our child (pidfd_open(2), kernel 5.3).
result<unique_fd> open_pidfd(pid_t pid);

/// Sends SIGKILL; a process that has ended already is fine.
void kill_process(int pidfd) noexcept;

/// Waits until the process has ended; false when the deadline comes first. Reaps it when it is a child of
/// ours.
bool wait_for_exit(int pidfd, steady_time deadline);

/// Processes that hold an open descriptor of the file at `path`, apart from this one. Walks /proc:
/// milliseconds.
std::vector<pid_t> processes_holding(const std::string& path);

/// Milliseconds from now to a deadline, for poll(2): rounded up, never negative.
int milliseconds_until(steady_time deadline);

} // namespace sandy::runtime
