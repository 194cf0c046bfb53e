#pragma once

#include "messages/error.hpp"

#include <string>

namespace sandy::runtime {

/// The system call filter of every sandbox, as a classic BPF program (struct sock_filter, seccomp(2)) for
/// this machine's architecture. An allow-list: known dangerous calls answer EPERM, calls the list does not
/// know answer ENOSYS, so that libraries newer than the list fall back, and a call of another architecture
/// kills the process. Takes about 10 ms: compile it once.
result<std::string> compile_seccomp_filter();

/// The same rules as a profile that container engines read (JSON, the format of Docker's `--security-opt
/// seccomp=`). One thing is different: a request that types into a terminal is answered with ENOSYS.
std::string seccomp_profile();

} // namespace sandy::runtime
