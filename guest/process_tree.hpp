#pragma once

#include <sys/types.h>

namespace sandy::guest {

/// Signals a process and everything it started: its descendants, and whoever is in its session. With SIGKILL
/// the tree is stopped first until no new member appears, so that nothing escapes by forking meanwhile. Reads
/// /proc.
/// @param root a child of ours that was not waited for yet, so that its number is certainly its own.
void signal_tree(pid_t root, int signal);

/// Ends everything that descends from this process.
void kill_descendants();

} // namespace sandy::guest
