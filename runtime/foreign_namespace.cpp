#include "runtime/foreign_namespace.hpp"

#include <sched.h>

#include <cerrno>
#include <system_error>
#include <thread>

namespace sandy::runtime {

int run_in_namespaces(int pidfd, int kinds, const std::function<void()>& action) {
  int error = 0;
  try {
    std::thread{[&] {
      // A mount namespace comes with a root and a working directory, which threads share otherwise.
      if (((kinds & CLONE_NEWNS) == 0 || ::unshare(CLONE_FS) == 0) && ::setns(pidfd, kinds) == 0)
        action();
      else
        error = errno;
    }}.join();
  } catch (const std::system_error& thrown) { // no thread to be had
    error = thrown.code().value();
  }
  return error;
}

} // namespace sandy::runtime
