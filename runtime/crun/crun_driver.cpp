#include "runtime/crun/crun_driver.hpp"

#include "runtime/crun/guest_program.hpp"
#include "runtime/crun/oci_config.hpp"
#include "runtime/files.hpp"
#include "runtime/fingerprint.hpp"
#include "runtime/guest/ping.hpp"
#include "runtime/seccomp_filter.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

namespace sandy::runtime {

namespace {

using namespace std::chrono_literals;

constexpr auto destroy_timeout = 10s;
/// A guest answers within a millisecond; one that is stuck is as good as gone.
constexpr auto attach_patience = 2s;

/// A directory that every user can reach, for launchers to mount on. The sandbox's root is nobody on the host
/// and could not walk through the data directory. It must not be on the way to anything crun reads.
result<std::string> choose_stage(const crun_options& options) {
  for (std::string candidate : {"/mnt", "/media", "/srv", "/opt", "/home", "/tmp"}) {
    struct stat about{};
    auto covers = [&](const std::string& path) { return (path + "/").starts_with(candidate + "/"); };
    if (::lstat(candidate.c_str(), &about) == 0 && S_ISDIR(about.st_mode) && !covers(options.data_dir) &&
        !covers(options.crun))
      return candidate;
  }
  return fail(errc::internal, "no directory like /mnt to mount sandboxes on");
}

} // namespace

result<std::unique_ptr<crun_driver>> crun_driver::make(crun_options options) {
  if (!options.data_dir.starts_with('/') || options.data_dir.size() > longest_data_dir)
    return fail(errc::invalid_argument, "the data directory must be an absolute path of at most " +
                                            std::to_string(longest_data_dir) + " bytes");
  constexpr std::uint64_t ids = 1ull << 32, first_id = 65'536; // below are the host's own
  if (options.uid_base < first_id || options.uid_base + std::uint64_t{uid_slots} * ids_per_sandbox >= ids)
    return fail(errc::invalid_argument, "the uids of sandboxes do not fit: choose another uid_base");
  if (::geteuid() != 0)
    return fail(errc::internal, "making sandboxes needs root");
  while (options.cgroup_parent.ends_with('/'))
    options.cgroup_parent.pop_back();
  if (!options.cgroup_parent.empty() &&
      (!options.cgroup_parent.starts_with('/') || options.cgroup_parent.find("..") != std::string::npos))
    return fail(errc::invalid_argument, "the control group of all sandboxes must be an absolute path");
  std::error_code error;
  for (const auto& directory : {boxes_directory(options.data_dir), states_directory(options.data_dir),
                                layers_directory(options.data_dir)}) {
    std::filesystem::create_directories(directory, error);
    if (!error)
      std::filesystem::permissions(directory, std::filesystem::perms::owner_all,
                                   error); // nobody else's business
    if (error)
      return fail(errc::internal, "cannot create " + directory + ": " + error.message());
  }
  options.data_dir = std::filesystem::canonical(options.data_dir, error).string();
  if (error || options.data_dir.size() > longest_data_dir)
    return fail(errc::invalid_argument,
                "the data directory cannot be used: its path is too long or unreadable");
  auto layout = cgroup_layout::detect();
  if (!layout)
    return layout.error();
  auto seccomp = compile_seccomp_filter();
  if (!seccomp)
    return seccomp.error();
  auto guest = seal_program(options.guest);
  if (!guest)
    return guest.error();
  auto stage = choose_stage(options);
  if (!stage)
    return stage.error();
  return std::unique_ptr<crun_driver>{new crun_driver{std::move(options), std::move(*layout), *seccomp,
                                                      std::move(*guest), std::move(*stage)}};
}

crun_driver::crun_driver(crun_options options, cgroup_layout layout, std::string seccomp, unique_fd guest,
                         std::string stage)
    : host_driver(std::move(layout), options.image_dir, options.data_dir)
    , options_(std::move(options))
    , cgroup_parent_(options_.cgroup_parent.empty() ? "/sandy-" + fingerprint(options_.data_dir)
                                                    : options_.cgroup_parent)
    , seccomp_base64_(base64(seccomp))
    , guest_(std::move(guest))
    , stage_(std::move(stage))
    , disks_(options_.data_dir) {
  images_.add_user(fingerprint(options_.data_dir), options_.data_dir);
}

crun_driver::~crun_driver() {
  if (directories_in(boxes_directory(options_.data_dir)).empty() && layers_.list().empty())
    images_.remove_user(fingerprint(options_.data_dir)); // nothing here stands on any image
  for (const auto& tree : layout_.trees())
    ::rmdir((tree + cgroup_parent_).c_str()); // fails, as it should, while sandboxes live
}

result<instance> crun_driver::find_running(const sandbox_id& id, const sandbox_files& files,
                                           std::chrono::milliseconds patience) {
  auto gone = [] { return fail(errc::sandbox_not_found, "the sandbox does not run"); };
  auto status = read_status(files);
  if (!status)
    return gone();
  instance found;
  found.init = open_init(*status);
  if (!found.init || !group(id).contains(status->init_pid))
    return gone();
  found.init_pid = status->init_pid;
  found.init_start_ticks = status->init_start_ticks;
  found.guest_socket = files.socket;
  if (auto from = read_origin(files.origin))
    describe(found, *from);
  if (group(id).frozen())
    return found; // it answers when it runs again
  if (auto answered = guest::ping_blocking(found.guest_socket, patience); !answered)
    return fail(errc::sandbox_not_found, text_of(answered.error()));
  return found;
}

result<instance> crun_driver::attach(const sandbox_id& id) {
  if (!is_sandbox_id(id.value))
    return fail(errc::sandbox_not_found, "the sandbox does not run");
  sandbox_files files{options_.data_dir, id};
  if (auto lock = lock_creation(files); !lock) // half made by a server that was killed
    return fail(errc::sandbox_not_found, "the sandbox was never finished");
  end_copying(id);
  return find_running(id, files, attach_patience);
}

result<void> crun_driver::destroy(const sandbox_id& id) {
  if (!is_sandbox_id(id.value))
    return fail(errc::invalid_argument, "not the id of a sandbox");
  auto deadline = std::chrono::steady_clock::now() + destroy_timeout;
  sandbox_files files{options_.data_dir, id};
  auto processes = group(id);
  // Those of its containers are in its group and die with it; what else they have is left.
  if (auto done = kill_all_of(files, processes, deadline); !done)
    return done;
  auto below = containers(id);
  if (!below)
    return below.error();
  for (const auto& each : *below)
    if (auto done = destroy_container(id, each); !done)
      return done;
  return remove_all_of(files, processes, deadline);
}

result<void> crun_driver::kill_all_of(const sandbox_files& files, const cgroup& processes,
                                      steady_time deadline) {
  for (const auto& lock : {files.lock, files.copying})
    if (auto done = stop_holders(lock, deadline); !done)
      return done;
  // The end of process 1 is the end of its pid namespace: the kernel kills the rest and waits for it. What a
  // creation left half way has no process 1 on record; that and everything unforeseen the control group
  // finds.
  if (auto status = read_status(files))
    if (auto init = open_init(*status)) {
      kill_process(init.get());
      processes.thaw();
      wait_for_exit(init.get(), deadline);
    }
  return processes.kill_all(deadline);
}

result<void> crun_driver::remove_all_of(const sandbox_files& files, const cgroup& processes,
                                        steady_time deadline) {
  if (auto done = processes.remove(deadline); !done)
    return done;
  std::error_code error;
  if (std::filesystem::remove_all(files.state, error); error)
    return fail(errc::internal, "cannot remove crun's state of the sandbox: " + error.message());
  if (auto loop = read_small_file(files.loop)) {
    int number = 0;
    auto parsed = std::from_chars(loop->data(), loop->data() + loop->size(), number);
    if (parsed.ec == std::errc{} && !wait_for_loop_release(number, files.disk, deadline))
      return fail(errc::internal, "the disk of the sandbox is still mounted");
  }
  // Last, and the directory itself after all that is in it: until then `list` finds it.
  if (std::filesystem::remove_all(files.box, error); error)
    return fail(errc::internal, "cannot remove the sandbox's files: " + error.message());
  return caf::unit;
}

result<std::vector<sandbox_id>> crun_driver::list() {
  auto names = directories_in(boxes_directory(options_.data_dir));
  auto add = [&names](std::vector<std::string> more) { names.insert(names.end(), more.begin(), more.end()); };
  add(directories_in(states_directory(options_.data_dir)));
  for (const auto& tree : layout_.trees())
    add(directories_in(tree + cgroup_parent_));
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::vector<sandbox_id> ids;
  for (auto& name : names)
    if (is_sandbox_id(name))
      ids.push_back({std::move(name)});
  return ids;
}

result<driver::usage> crun_driver::stats(const sandbox_id& id) {
  auto found = count(id);
  if (!found)
    return found;
  // Its root as the kernel has it; what lies below could be anything and is not looked at.
  if (auto status = read_status({options_.data_dir, id}))
    if (auto init = open_init(*status))
      found->disk_bytes = used_bytes("/proc/" + std::to_string(status->init_pid) + "/root");
  return found;
}

} // namespace sandy::runtime
