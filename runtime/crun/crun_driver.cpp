#include "runtime/crun/crun_driver.hpp"

#include "runtime/child_process.hpp"
#include "runtime/crun/guest_program.hpp"
#include "runtime/crun/oci_config.hpp"
#include "runtime/files.hpp"
#include "runtime/guest/ping.hpp"
#include "runtime/network_namespace.hpp"
#include "runtime/seccomp_filter.hpp"
#include "runtime/system_failure.hpp"

#include <nlohmann/json.hpp>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

namespace sandy::runtime {

namespace {

using namespace std::chrono_literals;

constexpr auto destroy_timeout = 10s;
constexpr auto attach_patience = 2s; // a guest answers within a millisecond; one that is stuck is as good as gone

/// A directory that every user can reach, for launchers to mount on. The sandbox's root is nobody on the host and could not
/// walk through the data directory. It must not be on the way to anything crun reads.
result<std::string> choose_stage(const crun_options& options) {
  for (std::string candidate : {"/mnt", "/media", "/srv", "/opt", "/home", "/tmp"}) {
    struct stat about{};
    auto covers = [&](const std::string& path) { return path.starts_with(candidate + "/"); };
    if (::lstat(candidate.c_str(), &about) == 0 && S_ISDIR(about.st_mode) && !covers(options.data_dir)
        && !covers(options.image_dir) && !covers(options.crun))
      return candidate;
  }
  return fail(errc::internal, "no directory like /mnt to mount sandboxes on");
}

/// Names this server's control groups: the same after a restart, another for every other data directory (FNV-1a).
std::string fingerprint(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (unsigned char c : text)
    hash = (hash ^ c) * 0x100000001b3;
  char digits[17] = {};
  std::to_chars(digits, digits + 16, hash, 16);
  return digits;
}

result<unique_fd> listen_at(const std::string& path) {
  unique_fd listener{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1); // its length was checked with the data directory's
  constexpr int queue = 512; // connections that wait for the guest; one is one operation
  if (!listener || ::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0
      || ::listen(listener.get(), queue) != 0)
    return system_failure("cannot listen for the guest");
  return listener;
}

int own_oom_score() {
  auto text = read_small_file("/proc/self/oom_score_adj").value_or("0");
  int score = 0;
  std::from_chars(text.data(), text.data() + text.size(), score);
  return std::max(0, score); // a protected server does not protect its sandboxes
}

bool host_refused(std::string_view errors) {
  for (auto sign : {"No space left on device", "Cannot allocate memory", "Resource temporarily unavailable",
                    "Too many open files"})
    if (errors.find(sign) != std::string_view::npos)
      return true;
  return false;
}

} // namespace

result<std::unique_ptr<crun_driver>> crun_driver::make(crun_options options) {
  if (!options.data_dir.starts_with('/') || options.data_dir.size() > longest_data_dir)
    return fail(errc::invalid_argument,
                "the data directory must be an absolute path of at most " + std::to_string(longest_data_dir) + " bytes");
  while (options.cgroup_parent.ends_with('/'))
    options.cgroup_parent.pop_back();
  if (!options.cgroup_parent.empty()
      && (!options.cgroup_parent.starts_with('/') || options.cgroup_parent.find("..") != std::string::npos))
    return fail(errc::invalid_argument, "the control group of all sandboxes must be an absolute path");
  std::error_code error;
  for (const auto& directory : {boxes_directory(options.data_dir), states_directory(options.data_dir)}) {
    std::filesystem::create_directories(directory, error);
    if (!error)
      std::filesystem::permissions(directory, std::filesystem::perms::owner_all, error); // nobody else's business
    if (error)
      return fail(errc::internal, "cannot create " + directory + ": " + error.message());
  }
  options.data_dir = std::filesystem::canonical(options.data_dir, error).string();
  if (error || options.data_dir.size() > longest_data_dir)
    return fail(errc::invalid_argument, "the data directory cannot be used: its path is too long or unreadable");
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
  return std::unique_ptr<crun_driver>{
    new crun_driver{std::move(options), std::move(*layout), *seccomp, std::move(*guest), std::move(*stage)}};
}

crun_driver::crun_driver(crun_options options, cgroup_layout layout, std::string seccomp, unique_fd guest,
                         std::string stage)
    : options_(std::move(options)), layout_(std::move(layout)),
      cgroup_parent_(options_.cgroup_parent.empty() ? "/sandy-" + fingerprint(options_.data_dir) : options_.cgroup_parent),
      seccomp_base64_(base64(seccomp)), guest_(std::move(guest)), stage_(std::move(stage)), images_(options_.image_dir), disks_(options_.data_dir) {}

crun_driver::~crun_driver() {
  for (const auto& tree : layout_.trees())
    ::rmdir((tree + cgroup_parent_).c_str()); // fails, as it should, while sandboxes live
}

result<instance> crun_driver::create(const sandbox_spec& spec) {
  if (!is_sandbox_id(spec.id.value) || spec.uid_slot >= uid_slots)
    return fail(errc::invalid_argument, "not the id or uid slot of a sandbox");
  auto from = images_.find(spec.image);
  if (!from)
    return from.error();
  sandbox_files files{options_.data_dir, spec.id};
  if (::mkdir(files.box.c_str(), 0700) != 0) {
    if (errno == EEXIST) // not ours to clean up
      return fail(errc::conflict, "a sandbox of this id exists");
    return system_failure("cannot create the sandbox's directory", errno, errc::sandbox_failed);
  }
  auto made = start(spec, files, *from);
  if (made)
    return made;
  auto undone = destroy(spec.id);
  auto text = without_host_paths(text_of(made.error()));
  if (!undone)
    text += "; what was made of it could not be removed: " + without_host_paths(text_of(undone.error()));
  return fail(code_of(made.error()), text);
}

result<instance> crun_driver::start(const sandbox_spec& spec, const sandbox_files& files, const image& from) {
  auto deadline = std::chrono::steady_clock::now() + options_.create_timeout;
  if (auto done = prepare(spec, files); !done)
    return done.error();
  if (auto done = launch(spec, files, from, deadline); !done)
    return done.error();
  auto running = find_running(spec.id, files, std::chrono::milliseconds{milliseconds_until(deadline)});
  if (!running)
    return fail(errc::sandbox_failed, "the sandbox started but its guest does not answer: " + text_of(running.error()));
  return running;
}

result<void> crun_driver::prepare(const sandbox_spec& spec, const sandbox_files& files) {
  if (auto done = disks_.make(files.disk, spec.limits.disk_bytes); !done)
    return done;
  oci_options oci;
  oci.rootfs = stage_ + "/merged";
  oci.cgroup_path = cgroup_parent_ + "/" + spec.id.value;
  if (layout_.kind() == cgroup_layout::version::v1)
    for (auto controller : {"memory", "cpu"})
      oci.visible_groups.emplace_back(layout_.tree(controller) + oci.cgroup_path, controller);
  oci.limits = spec.limits;
  oci.host_uid = options_.uid_base + spec.uid_slot * ids_per_sandbox;
  oci.swap_accounting = layout_.swap_accounting();
  oci.oom_score = own_oom_score();
  oci.arguments = {"/proc/self/fd/4"};
  oci.arguments.insert(oci.arguments.end(), options_.guest_arguments.begin(), options_.guest_arguments.end());
  oci.seccomp_base64 = &seccomp_base64_;
  return write_new_file(files.config, oci_config(oci).dump());
}

result<void> crun_driver::launch(const sandbox_spec& spec, const sandbox_files& files, const image& from,
                                 steady_time deadline) {
  auto lock = lock_creation(files);
  if (!lock)
    return lock.error();
  auto listener = listen_at(files.socket);
  if (!listener)
    return listener.error();
  auto uid = std::to_string(options_.uid_base + spec.uid_slot * ids_per_sandbox);
  child_command command;
  // 3 and 4 reach the guest; the lock is closed when crun's child becomes the guest.
  command.arguments = {options_.launcher, stage_, files.box, from.rootfs, uid, "--",
                       options_.crun, "--root", states_directory(options_.data_dir), "--cgroup-manager=cgroupfs",
                       "run", "--detach", "--preserve-fds=2", "--bundle", files.box, spec.id.value};
  command.descriptors = {listener->get(), guest_.get(), lock->get()};
  command.deadline = deadline;
  auto outcome = run_child(command);
  if (!outcome)
    return outcome.error();
  if (outcome->timed_out)
    return fail(errc::sandbox_failed, "the sandbox could not be started in time");
  if (outcome->exit_status != 0) {
    while (outcome->errors.ends_with('\n'))
      outcome->errors.pop_back();
    return fail(host_refused(outcome->errors) ? errc::capacity_exhausted : errc::sandbox_failed,
                "the sandbox could not be started: " + outcome->errors);
  }
  return caf::unit;
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
  return find_running(id, files, attach_patience);
}

result<void> crun_driver::destroy(const sandbox_id& id) {
  if (!is_sandbox_id(id.value))
    return fail(errc::invalid_argument, "not the id of a sandbox");
  auto deadline = std::chrono::steady_clock::now() + destroy_timeout;
  sandbox_files files{options_.data_dir, id};
  auto processes = group(id);
  if (auto done = stop_creation(files, deadline); !done)
    return done;
  // The end of process 1 is the end of its pid namespace: the kernel kills the rest and waits for it. What a creation left
  // half way has no process 1 on record; that and everything unforeseen the control group finds.
  if (auto status = read_status(files))
    if (auto init = open_init(*status)) {
      kill_process(init.get());
      processes.thaw();
      wait_for_exit(init.get(), deadline);
    }
  if (auto done = processes.kill_all(deadline); !done)
    return done;
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
  if (!is_sandbox_id(id.value))
    return fail(errc::sandbox_not_found, "the sandbox does not run");
  auto counted = group(id).usage();
  if (!counted)
    return counted.error();
  usage found;
  found.cpu_usec = counted->cpu_usec;
  found.memory_bytes = counted->memory_bytes;
  found.pids = counted->pids;
  found.oom_kills = counted->oom_kills;
  // Its root as the kernel has it; what lies below could be anything and is not looked at.
  if (auto status = read_status({options_.data_dir, id}))
    if (auto init = open_init(*status))
      found.disk_bytes = used_bytes("/proc/" + std::to_string(status->init_pid) + "/root");
  return found;
}

result<void> crun_driver::set_limits(const sandbox_id& id, const resource_limits& limits) {
  if (!is_sandbox_id(id.value))
    return fail(errc::sandbox_not_found, "the sandbox does not run");
  return group(id).set_limits(limits);
}

result<unique_fd> crun_driver::connect(const instance& where, std::uint16_t port) {
  return connect_inside(where.init.get(), port);
}

std::string crun_driver::without_host_paths(std::string text) const {
  for (const auto& path : {options_.data_dir, options_.image_dir, options_.crun, options_.launcher, stage_, cgroup_parent_})
    for (std::size_t at = 0; !path.empty() && (at = text.find(path, at)) != std::string::npos; at += 3)
      text.replace(at, path.size(), "...");
  return text;
}

} // namespace sandy::runtime
