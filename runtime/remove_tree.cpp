#include "runtime/remove_tree.hpp"

#include "runtime/child_process.hpp"

namespace sandy::runtime {

result<void> remove_tree(const std::string& path, steady_time deadline) {
  child_command command;
  command.arguments = {"/bin/rm", "-rf", "--one-file-system", "--", path};
  command.deadline = deadline;
  auto ran = run_child(command);
  if (!ran)
    return std::move(ran.error());
  if (ran->timed_out)
    return fail(errc::internal, "a tree of files could not be removed in time");
  if (ran->exit_status != 0)
    return fail(errc::internal, "a tree of files could not be removed: " + complaint(*ran));
  return caf::unit;
}

} // namespace sandy::runtime
