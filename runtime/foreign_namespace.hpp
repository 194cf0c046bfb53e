#pragma once

#include <functional>

namespace sandy::runtime {

/// Runs `action` inside namespaces of another process, on a thread of its own that ends there: none of ours
/// can be left behind by a failure on the way back. Waits for it: tens of microseconds plus the action. Needs
/// CAP_SYS_ADMIN and kernel 5.8 (setns(2) with a pidfd). @param kinds CLONE_NEWNET, CLONE_NEWIPC or both.
/// @param action must not throw. Returns 0 or the errno of getting there; then `action` did not run.
int run_in_namespaces(int pidfd, int kinds, const std::function<void()>& action);

} // namespace sandy::runtime
