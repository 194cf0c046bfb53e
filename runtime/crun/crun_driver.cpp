#include "runtime/crun/crun_driver.hpp"

#include "runtime/crun/guest_program.hpp"
#include "runtime/crun/oci_config.hpp"
#include "runtime/files.hpp"
#include "runtime/guest/ping.hpp"
#include "runtime/network_namespace.hpp"
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
constexpr auto verify_patience = 1s;

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

/// Names what is this server's: the same after a restart, another for every other data directory (FNV-1a).
std::string fingerprint(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (unsigned char c : text)
    hash = (hash ^ c) * 0x100000001b3;
  char digits[17] = {};
  std::to_chars(digits, digits + 16, hash, 16);
  return digits;
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
    : options_(std::move(options))
    , layout_(std::move(layout))
    , cgroup_parent_(options_.cgroup_parent.empty() ? "/sandy-" + fingerprint(options_.data_dir)
                                                    : options_.cgroup_parent)
    , seccomp_base64_(base64(seccomp))
    , guest_(std::move(guest))
    , stage_(std::move(stage))
    , images_(options_.image_dir)
    , layers_(options_.data_dir, images_)
    , imported_(options_.image_dir)
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
  if (auto from = read_origin(files.origin)) {
    found.variables = images_.variables(from->image);
    found.image_version = from->image;
    found.workdir = images_.working_directory(from->image);
  }
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
  end_copying(files);
  return find_running(id, files, attach_patience);
}

result<void> crun_driver::verify(const sandbox_id&, const instance& where) {
  return guest::ping_blocking(where.guest_socket, verify_patience);
}

result<std::chrono::milliseconds> crun_driver::quiet_time(const instance& where) {
  return guest::quiet_time_blocking(where.guest_socket, verify_patience);
}

result<void> crun_driver::destroy(const sandbox_id& id) {
  if (!is_sandbox_id(id.value))
    return fail(errc::invalid_argument, "not the id of a sandbox");
  auto deadline = std::chrono::steady_clock::now() + destroy_timeout;
  sandbox_files files{options_.data_dir, id};
  auto processes = group(id);
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

result<std::vector<installed_image>> crun_driver::images() {
  std::vector<installed_image> all;
  for (auto& name : images_.list())
    if (auto described = images_.describe_image(name)) // not replaced at this moment
      all.push_back(std::move(*described));
  return all;
}

result<unique_fd> crun_driver::connect(const instance& where, std::uint16_t port) {
  return connect_inside(where.init.get(), port);
}

result<unique_fd> crun_driver::listen(const instance& where, std::uint16_t port) {
  return listen_inside(where.init.get(), port);
}

result<unique_fd> crun_driver::open_socket(const instance& where, int family) {
  auto socket = open_socket_inside(where.init.get(), family);
  if (socket)
    limit_socket_buffers(socket->get());
  return socket;
}

result<connection_capture> crun_driver::capture(const instance& where, const captured_range& range) {
  return capture_connections(where.init.get(), range);
}

result<network_capture> crun_driver::capture_network(const instance& where) {
  return runtime::capture_network(where.init.get());
}

} // namespace sandy::runtime
