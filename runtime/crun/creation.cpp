// How crun_driver makes a sandbox; the rest of the driver is in crun_driver.cpp.

#include "runtime/child_process.hpp"
#include "runtime/crun/crun_driver.hpp"
#include "runtime/crun/oci_config.hpp"
#include "runtime/files.hpp"
#include "runtime/guest_listener.hpp"
#include "runtime/ipc_limits.hpp"
#include "runtime/sandbox_profile.hpp"
#include "runtime/system_failure.hpp"

#include <nlohmann/json.hpp>

#include <sys/stat.h>

namespace sandy::runtime {

result<instance> crun_driver::create(const sandbox_spec& spec) {
  if (!is_sandbox_id(spec.id.value) || spec.uid_slot >= uid_slots)
    return fail(errc::invalid_argument, "not the id or uid slot of a sandbox");
  auto from = layers_.find(spec.image, spec.layer);
  if (!from)
    return from.error();
  auto trees = layers_.trees(*from);
  if (!trees)
    return trees.error();
  sandbox_files files{options_.data_dir, spec.id};
  if (::mkdir(files.box.c_str(), 0700) != 0) {
    if (errno == EEXIST) // not ours to clean up
      return fail(errc::conflict, "a sandbox of this id exists");
    return system_failure("cannot create the sandbox's directory", errno, errc::sandbox_failed);
  }
  auto made = start(spec, files, *from, *trees, nullptr);
  if (made)
    return made;
  auto undone = destroy(spec.id);
  auto text = without_host_paths(text_of(made.error()));
  if (!undone)
    text += "; what was made of it could not be removed: " + without_host_paths(text_of(undone.error()));
  return fail(code_of(made.error()), text);
}

result<instance> crun_driver::start(const sandbox_spec& spec, const sandbox_files& files, const origin& from,
                                    const host_paths& trees, const host_sandbox* within) {
  auto deadline = std::chrono::steady_clock::now() + options_.create_timeout;
  if (auto done = prepare(spec, files, from, within); !done)
    return done.error();
  if (auto done = launch(spec, files, trees, within, deadline); !done)
    return done.error();
  auto running = find_running(within ? within->id : spec.id, files,
                              std::chrono::milliseconds{milliseconds_until(deadline)});
  if (!running)
    return fail(errc::sandbox_failed,
                "the sandbox started but its guest does not answer: " + text_of(running.error()));
  const auto memory_bytes = spec.limits.memory_bytes / (within ? most_containers : 1);
  if (auto done = limit_ipc(running->init.get(), root_uid(spec), memory_bytes); !done)
    return done.error();
  return running;
}

result<void> crun_driver::prepare(const sandbox_spec& spec, const sandbox_files& files, const origin& from,
                                  const host_sandbox* within) {
  if (auto done = write_origin(files.origin, from); !done)
    return done;
  if (auto done = disks_.make(files.disk, spec.limits.disk_bytes); !done)
    return done;
  oci_options oci;
  oci.rootfs = stage_ + "/merged";
  oci.cgroup_path = cgroup_parent_ + "/" + (within ? within->id : spec.id).value;
  if (layout_.kind() == cgroup_layout::version::v1)
    for (auto controller : {"memory", "cpu"})
      oci.visible_groups.emplace_back(layout_.tree(controller) + oci.cgroup_path, controller);
  oci.limits = spec.limits;
  oci.host_uid = root_uid(spec);
  oci.swap_accounting = layout_.swap_accounting();
  oci.oom_score = sandbox_oom_score();
  oci.arguments = {"/proc/self/fd/4"};
  oci.arguments.insert(oci.arguments.end(), options_.guest_arguments.begin(), options_.guest_arguments.end());
  oci.seccomp_base64 = &seccomp_base64_;
  if (within) { // as the launcher gets them, behind what the guest gets, and the lock
    oci.user_namespace = "/proc/self/fd/6";
    oci.network_namespace = "/proc/self/fd/7";
  }
  return write_new_file(files.config, oci_config(oci).dump());
}

result<void> crun_driver::launch(const sandbox_spec& spec, const sandbox_files& files,
                                 const host_paths& trees, const host_sandbox* within, steady_time deadline) {
  auto lock = lock_creation(files);
  if (!lock)
    return lock.error();
  auto listener = listen_at(files.socket);
  if (!listener)
    return listener.error();
  child_command command;
  command.arguments = {options_.launcher};
  if (within)
    for (const auto& file : within->joining)
      command.arguments.insert(command.arguments.end(), {"--join", file});
  command.arguments.insert(command.arguments.end(), {stage_, files.box, std::to_string(root_uid(spec))});
  command.arguments.insert(command.arguments.end(), trees.begin(), trees.end());
  // 3 and 4 reach the guest; the lock is closed when crun's child becomes the guest.
  for (auto argument :
       {std::string{"--"}, options_.crun, std::string{"--root"}, states_directory(options_.data_dir),
        std::string{within ? "--cgroup-manager=disabled" : "--cgroup-manager=cgroupfs"}, std::string{"run"},
        std::string{"--detach"}, std::string{"--preserve-fds=2"}, std::string{"--bundle"}, files.box,
        spec.id.value})
    command.arguments.push_back(std::move(argument));
  command.descriptors = {listener->get(), guest_.get(), lock->get()};
  if (within)
    command.descriptors.insert(command.descriptors.end(), {within->user.get(), within->network.get()});
  command.deadline = deadline;
  auto outcome = run_child(command);
  if (!outcome)
    return outcome.error();
  if (outcome->timed_out)
    return fail(errc::sandbox_failed, "the sandbox could not be started in time");
  if (outcome->exit_status != 0)
    return fail(mentions_exhaustion(outcome->errors) ? errc::capacity_exhausted : errc::sandbox_failed,
                "the sandbox could not be started: " + complaint(*outcome));
  return caf::unit;
}

std::uint32_t crun_driver::root_uid(const sandbox_spec& spec) const {
  return options_.uid_base + spec.uid_slot * ids_per_sandbox;
}

std::string crun_driver::without_host_paths(std::string text) const {
  for (const auto& path :
       {options_.data_dir, options_.image_dir, options_.crun, options_.launcher, stage_, cgroup_parent_})
    for (std::size_t at = 0; !path.empty() && (at = text.find(path, at)) != std::string::npos; at += 3)
      text.replace(at, path.size(), "...");
  return text;
}

} // namespace sandy::runtime
