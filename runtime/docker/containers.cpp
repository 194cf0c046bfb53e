// Containers in sandboxes: containers of the engine, as sandboxes are, but with the network of one, and moved
// into its control group. See README.md beside this file.

#include "runtime/docker/docker_driver.hpp"
#include "runtime/docker/inner_files.hpp"
#include "runtime/system_failure.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>

namespace sandy::runtime {

using docker::box_files;

namespace {

using namespace std::chrono_literals;

constexpr auto destroy_timeout = 30s;
constexpr auto attach_patience = 2s;

caf::error no_such_container() {
  return fail(errc::container_not_found, "The sandbox has no such container");
}

caf::error ended() { return fail(errc::sandbox_ended, "The sandbox does not run any more"); }

} // namespace

result<docker_driver::host_sandbox> docker_driver::open_host(const sandbox_id& id) const {
  auto state = docker::read_state(files_of(id));
  if (!state || !docker::open_init(*state))
    return ended();
  return host_sandbox{id, state->container, state->cgroup};
}

result<instance> docker_driver::create_container(const container_spec& spec) {
  if (!is_sandbox_id(spec.sandbox.value) || !is_container_id(spec.id.value))
    return fail(errc::invalid_argument, "not the id of a container");
  auto from = layers_.find(spec.image, {});
  if (!from)
    return std::move(from.error());
  auto trees = layers_.trees(*from);
  if (!trees)
    return std::move(trees.error());
  auto host = open_host(spec.sandbox);
  if (!host)
    return std::move(host.error());
  auto home = files_of(spec.sandbox);
  box_files files{home_, spec.id};
  // Noted first: whoever destroys the sandbox has to find it, whatever is there of it.
  if (::mkdir(home.containers.c_str(), 0700) != 0 && errno != EEXIST)
    return system_failure("cannot note the container", errno, errc::sandbox_failed);
  if (unique_fd note{
          ::open((home.containers + "/" + spec.id.value).c_str(), O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
      !note)
    return system_failure("cannot note the container", errno,
                          errno == EEXIST ? errc::conflict : errc::sandbox_failed);
  auto made = [&]() -> result<instance> {
    if (::mkdir(files.box.c_str(), 0700) != 0)
      return system_failure("cannot create the container's directory", errno, errc::sandbox_failed);
    return start({{spec.id.value}, spec.image, spec.limits, spec.uid_slot, {}}, files, *from, *trees, &*host);
  }();
  if (made)
    return made;
  auto undone = destroy_container(spec.sandbox, spec.id);
  if (!open_host(spec.sandbox)) // whatever it looked like: that is why
    return ended();
  return for_callers(made.error(),
                     undone ? std::string{}
                            : "; what was made of it could not be removed: " + text_of(undone.error()));
}

result<void> docker_driver::move_into(const host_sandbox& host, const sandbox_spec& spec,
                                      docker::box_state& state, int init) const {
  // An engine could be asked for a group below the sandbox's, but not one that leaves groups to systemd, and
  // with v2 not one that sets limits. Moved it is bounded by the sandbox's with all of them.
  cgroup processes{layout_, host.cgroup + "/" + spec.id.value};
  if (auto made = processes.make_member_group(); !made)
    return std::move(made.error());
  if (auto done = processes.take_in(state.init_pid); !done)
    return done;
  state.cgroup = host.cgroup;
  std::vector<docker::visible_group> seen;
  const std::string place = "/sys/fs/cgroup";
  for (const auto& tree : layout_.trees())
    seen.push_back({tree + host.cgroup, layout_.kind() == cgroup_layout::version::v2
                                            ? place
                                            : place + tree.substr(tree.rfind('/'))});
  return docker::show_groups_inside(init, seen);
}

result<instance> docker_driver::attach_container(const sandbox_id& sandbox, const container_id& id) {
  if (!is_sandbox_id(sandbox.value) || !is_container_id(id.value))
    return no_such_container();
  box_files files{home_, id};
  auto state = docker::read_state(files);
  auto found = state ? find_running(files, *state, attach_patience) : result<instance>{no_such_container()};
  if (found)
    return found;
  // One whose guest was too busy to answer is asked again.
  if (state && docker::open_init(*state))
    return fail(errc::sandbox_failed, "The container does not answer");
  return fail(errc::container_not_found, "The container does not run");
}

result<void> docker_driver::destroy_container(const sandbox_id& sandbox, const container_id& id) {
  if (!is_sandbox_id(sandbox.value) || !is_container_id(id.value))
    return no_such_container();
  auto deadline = std::chrono::steady_clock::now() + destroy_timeout;
  box_files files{home_, id};
  auto above = group(sandbox), processes = above.below(id.value);
  if (above.frozen() && !processes.processes().empty())
    return fail(errc::sandbox_failed, "The container stands still with its sandbox");
  if (auto done = kill_all_of(files, processes, deadline); !done)
    return done;
  if (auto done = remove_all_of(id.value, files, deadline); !done)
    return done;
  std::error_code error;
  if (std::filesystem::remove(files_of(sandbox).containers + "/" + id.value, error); error)
    return fail(errc::internal, "cannot forget the container: " + error.message());
  return caf::unit;
}

result<std::vector<container_id>> docker_driver::containers(const sandbox_id& sandbox) {
  if (!is_sandbox_id(sandbox.value))
    return fail(errc::sandbox_not_found, "the sandbox does not run");
  return containers_noted_in(files_of(sandbox).containers);
}

} // namespace sandy::runtime
