// Containers in sandboxes: as sandboxes are made, but that they enter the user and network namespaces and the
// control group of one. See README.md beside this file.

#include "runtime/crun/crun_driver.hpp"
#include "runtime/files.hpp"
#include "runtime/system_failure.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>

namespace sandy::runtime {

namespace {

using namespace std::chrono_literals;

constexpr auto destroy_timeout = 10s;
constexpr auto attach_patience = 2s;

unique_fd open_namespace(std::int32_t pid, const char* kind) {
  auto path = "/proc/" + std::to_string(pid) + "/ns/" + kind;
  return unique_fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
}

caf::error bad_id() { return fail(errc::container_not_found, "The sandbox has no such container"); }

} // namespace

result<crun_driver::host_sandbox> crun_driver::open_host(const sandbox_id& id, const sandbox_files& files) {
  auto ended = [] { return fail(errc::sandbox_ended, "The sandbox does not run any more"); };
  auto status = read_status(files);
  if (!status)
    return ended();
  host_sandbox host;
  host.id = id;
  host.user = open_namespace(status->init_pid, "user");
  host.network = open_namespace(status->init_pid, "net");
  // Looked at after they are open: so they were the sandbox's, and not of another process with its pid.
  if (!host.user || !host.network || !open_init(*status))
    return ended();
  return host;
}

result<instance> crun_driver::create_container(const container_spec& spec) {
  if (!is_sandbox_id(spec.sandbox.value) || !is_container_id(spec.id.value) || spec.uid_slot >= uid_slots)
    return fail(errc::invalid_argument, "not the id or uid slot of a container");
  auto from = layers_.find(spec.image, {});
  if (!from)
    return from.error();
  auto trees = layers_.trees(*from);
  if (!trees)
    return trees.error();
  sandbox_files home{options_.data_dir, spec.sandbox}, files{options_.data_dir, spec.id};
  auto host = open_host(spec.sandbox, home);
  if (!host)
    return host.error();
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
    auto processes = group(spec.sandbox).below(spec.id.value);
    if (auto group = processes.make_member_group(); !group)
      return group.error();
    host->joining = processes.joining_files();
    return start({files.id, spec.image, spec.limits, spec.uid_slot, {}}, files, *from, *trees, &*host);
  }();
  if (made)
    return made;
  auto undone = destroy_container(spec.sandbox, spec.id);
  auto text = without_host_paths(text_of(made.error()));
  if (!undone)
    text += "; what was made of it could not be removed: " + without_host_paths(text_of(undone.error()));
  return fail(code_of(made.error()), text);
}

result<instance> crun_driver::attach_container(const sandbox_id& sandbox, const container_id& id) {
  if (!is_sandbox_id(sandbox.value) || !is_container_id(id.value))
    return bad_id();
  sandbox_files files{options_.data_dir, id};
  auto lock = lock_creation(files);
  auto found = lock ? find_running(sandbox, files, attach_patience) : result<instance>{lock.error()};
  if (found)
    return found;
  // Half made it is for nobody. One whose guest was too busy to answer is asked again.
  if (auto status = read_status(files); lock && status && open_init(*status))
    return fail(errc::sandbox_failed, "The container does not answer");
  return fail(errc::container_not_found, "The container does not run");
}

result<void> crun_driver::destroy_container(const sandbox_id& sandbox, const container_id& id) {
  if (!is_sandbox_id(sandbox.value) || !is_container_id(id.value))
    return bad_id();
  auto deadline = std::chrono::steady_clock::now() + destroy_timeout;
  sandbox_files home{options_.data_dir, sandbox}, files{options_.data_dir, id};
  auto above = group(sandbox), processes = above.below(id.value);
  if (above.frozen() && !processes.processes().empty())
    return fail(errc::sandbox_failed, "The container stands still with its sandbox");
  if (auto done = kill_all_of(files, processes, deadline); !done)
    return done;
  if (auto done = remove_all_of(files, processes, deadline); !done)
    return done;
  if (std::error_code error; std::filesystem::remove(home.containers + "/" + id.value, error), error)
    return fail(errc::internal, "cannot forget the container: " + error.message());
  return caf::unit;
}

result<std::vector<container_id>> crun_driver::containers(const sandbox_id& sandbox) {
  if (!is_sandbox_id(sandbox.value))
    return fail(errc::sandbox_not_found, "the sandbox does not run");
  return containers_noted_in(sandbox_files{options_.data_dir, sandbox}.containers);
}

} // namespace sandy::runtime
