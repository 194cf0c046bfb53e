#pragma once

#include <sys/types.h>

namespace sandy::guest {

/// Signals a process and everything it started: its descendants, and whoever is in its session. With SIGKILL
/// the tree is stopped first until no new member appears, so that nothing escapes by forking meanwhile. Reads
/// /proc.
/// @param root a child of ours that was not waited for yet, so that its number is certainly its own.
void signal_tree(pid_t root, int signal);

/// Kills what is left of the session of a process that has ended, with all that this started. The kernel
/// gives the number of a session to nobody while it has members.
/// @return false: nothing is left, or the number is a process's again.
bool kill_session(pid_t leader);

/// Ends everything that descends from this process.
void kill_descendants();

} // namespace sandy::guest
