// How crun_driver holds and ends processes: all of a sandbox's, or a group of them.

#include "runtime/crun/crun_driver.hpp"

namespace sandy::runtime {

namespace {

using namespace std::chrono_literals;

/// Freezing takes well under a millisecond, unless a process waits for a device.
constexpr auto pause_timeout = 2s;
/// Killing takes some milliseconds, unless a process waits for a device; in a paused sandbox it only begins.
constexpr std::chrono::milliseconds end_group_timeout = 2s, end_group_timeout_paused = 20ms;
/// For the kernel to see that the last process has left.
constexpr auto leave_group_timeout = 100ms;

} // namespace

result<void> crun_driver::pause(const sandbox_id& id) {
  auto processes = group(id);
  if (!is_sandbox_id(id.value) || !processes.exists())
    return fail(errc::sandbox_not_found, "the sandbox does not run");
  auto frozen = processes.freeze(std::chrono::steady_clock::now() + pause_timeout);
  if (!frozen && code_of(frozen.error()) == errc::internal)
    return fail(errc::sandbox_failed, "The sandbox cannot be paused: " + text_of(frozen.error()));
  return frozen;
}

result<void> crun_driver::resume(const sandbox_id& id) {
  auto processes = group(id);
  if (!is_sandbox_id(id.value) || !processes.exists())
    return fail(errc::sandbox_not_found, "the sandbox does not run");
  processes.thaw();
  if (processes.frozen())
    return fail(errc::internal, "the kernel does not let the sandbox go on");
  return caf::unit;
}

result<unique_fd> crun_driver::make_group(const sandbox_id& id, const std::string& name) {
  if (!is_sandbox_id(id.value) || !is_sandbox_id(name))
    return fail(errc::invalid_argument, "not the name of a group in a sandbox");
  auto made = group(id).below(name).make_member_group();
  if (!made && code_of(made.error()) == errc::sandbox_not_found)
    return fail(errc::sandbox_ended, "The sandbox does not run any more");
  return made;
}

result<void> crun_driver::end_group(const sandbox_id& id, const std::string& name) {
  if (!is_sandbox_id(id.value) || !is_sandbox_id(name))
    return fail(errc::invalid_argument, "not the name of a group in a sandbox");
  auto sandbox = group(id), one = sandbox.below(name);
  auto deadline =
      std::chrono::steady_clock::now() + (sandbox.frozen() ? end_group_timeout_paused : end_group_timeout);
  auto done = one.kill_all(deadline);
  if (done)
    done = one.remove(deadline);
  if (!done)
    return fail(errc::sandbox_failed, text_of(done.error()));
  return caf::unit;
}

result<void> crun_driver::remove_empty_groups(const sandbox_id& id) {
  if (!is_sandbox_id(id.value))
    return fail(errc::invalid_argument, "not the id of a sandbox");
  group(id).remove_empty_below(std::chrono::steady_clock::now() + leave_group_timeout);
  return caf::unit;
}

} // namespace sandy::runtime
