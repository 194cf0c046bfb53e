#include "runtime/docker/docker_driver.hpp"

#include "runtime/crun/sandbox_files.hpp"
#include "runtime/disk_files.hpp"
#include "runtime/docker/container_request.hpp"
#include "runtime/files.hpp"
#include "runtime/fingerprint.hpp"
#include "runtime/guest/ping.hpp"
#include "runtime/remove_tree.hpp"
#include "runtime/seccomp_filter.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <thread>

namespace sandy::runtime {

namespace {

using namespace std::chrono_literals;
using docker::box_files;
using docker::box_state;

constexpr auto destroy_timeout = 30s;
/// A guest answers within a millisecond; one that is stuck is as good as gone.
constexpr auto attach_patience = 2s;
/// An engine answers from memory, unless it is busy removing an image.
constexpr auto short_patience = 30s;
/// For a number that somebody likes to see.
constexpr auto size_patience = 1500ms;

steady_time within(std::chrono::steady_clock::duration time) {
  return std::chrono::steady_clock::now() + time;
}

std::string own_tree_of(const std::string& home) { return home + "/tree"; }
std::string stage_of(const std::string& home) { return home + "/stage"; }
std::string guest_program_in(const std::string& home) { return home + "/guest"; }

/// What every sandbox has above its image, and where the hatch is mounted. The engine covers some of these
/// with files of its own, until the guest runs.
result<void> make_own_tree(const std::string& tree) {
  std::error_code error;
  std::filesystem::create_directories(tree + docker::hatch_inside, error);
  if (error)
    return fail(errc::internal, "cannot create " + tree + ": " + error.message());
  for (const auto& file : disk_files) {
    auto path = tree + "/" + file.path;
    if (file.content == nullptr)
      std::filesystem::create_directory(path, error);
    else if (auto written = write_new_file(path, file.content); !written)
      return written;
    if (::chmod(path.c_str(), file.content == nullptr ? 0755 : 0644) != 0)
      return fail(errc::internal, "cannot create " + path);
  }
  return caf::unit;
}

} // namespace

result<std::unique_ptr<docker_driver>> docker_driver::make(docker_options options) {
  if (::geteuid() != 0)
    return fail(errc::internal, "making sandboxes needs root");
  if (!options.engine_socket.starts_with('/'))
    return fail(errc::invalid_argument, "the socket of Docker's engine must be an absolute path");
  std::error_code error;
  auto home = options.data_dir + "/docker";
  if (!home.starts_with('/') || home.size() > docker::longest_data_dir)
    return fail(errc::invalid_argument,
                "with Docker the data directory must be an absolute path of at most " +
                    std::to_string(docker::longest_data_dir - std::string_view{"/docker"}.size()) + " bytes");
  for (const auto& directory :
       {docker::boxes_directory(home), stage_of(home), layers_directory(options.data_dir)}) {
    std::filesystem::create_directories(directory, error);
    if (!error)
      std::filesystem::permissions(directory, std::filesystem::perms::owner_all, error);
    if (error)
      return fail(errc::internal, "cannot create " + directory + ": " + error.message());
  }
  if (auto made = make_own_tree(own_tree_of(home)); !made)
    return std::move(made.error());
  // Linked into every hatch: there it goes with the sandbox, and replacing it does no harm to those that run.
  auto next = guest_program_in(home) + ".next";
  std::filesystem::copy_file(options.guest, next, std::filesystem::copy_options::overwrite_existing, error);
  if (error || ::chmod(next.c_str(), 0555) != 0)
    return fail(errc::internal, "cannot copy the guest program " + options.guest);
  std::filesystem::rename(next, guest_program_in(home), error);
  if (error)
    return fail(errc::internal, "cannot copy the guest program: " + error.message());
  auto layout = cgroup_layout::detect();
  if (!layout)
    return std::move(layout.error());
  auto seccomp = seccomp_profile();
  if (auto written = write_new_file(seccomp_file_in(home), seccomp); !written)
    return std::move(written.error());
  auto server = fingerprint(home);
  return std::unique_ptr<docker_driver>{
      new docker_driver{std::move(options), std::move(*layout), std::move(seccomp), std::move(server)}};
}

docker_driver::docker_driver(docker_options options, cgroup_layout layout, std::string seccomp,
                             std::string server)
    : host_driver(std::move(layout), options.image_dir, options.data_dir)
    , options_(std::move(options))
    , home_(options_.data_dir + "/docker")
    , server_(std::move(server))
    , seccomp_(std::move(seccomp))
    , engine_(options_.engine_socket)
    , engine_images_(engine_, {server_, options_.exporter, stage_of(home_), own_tree_of(home_)}) {
  images_.add_user(server_, home_);
}

docker_driver::~docker_driver() {
  if (directories_in(docker::boxes_directory(home_)).empty())
    images_.remove_user(server_); // nothing here stands on any image
}

bool docker_driver::knows(const sandbox_id& id) const {
  std::error_code ignored;
  return is_sandbox_id(id.value) && std::filesystem::exists(files_of(id).box, ignored);
}

cgroup docker_driver::group(const sandbox_id& id) const {
  auto state = is_sandbox_id(id.value) ? docker::read_state(files_of(id)) : std::nullopt;
  // A name that no group has.
  return {layout_, state ? state->cgroup : "/sandy-" + server_ + "-has-no-sandbox"};
}

result<instance> docker_driver::find_running(const box_files& files, const box_state& state,
                                             std::chrono::milliseconds patience) const {
  auto gone = [] { return fail(errc::sandbox_not_found, "the sandbox does not run"); };
  instance found;
  found.init = docker::open_init(state);
  cgroup processes{layout_, state.cgroup};
  if (!found.init || !processes.contains(state.init_pid))
    return gone();
  found.init_pid = state.init_pid;
  found.init_start_ticks = state.init_start_ticks;
  found.guest_socket = files.socket;
  if (auto from = read_origin(files.origin))
    describe(found, *from);
  if (std::error_code ignored; std::filesystem::exists(files.workspace, ignored)) {
    found.variables.emplace_back("DOCKER_HOST", "unix:///var/run/docker.sock");
    found.variables.emplace_back("SANDY_HOST_VOLUME", files.workspace);
  }
  if (processes.frozen())
    return found; // it answers when it runs again
  if (auto answered = guest::ping_blocking(found.guest_socket, patience); !answered)
    return fail(errc::sandbox_not_found, text_of(answered.error()));
  return found;
}

result<instance> docker_driver::attach(const sandbox_id& id) {
  auto state = is_sandbox_id(id.value) ? docker::read_state(files_of(id)) : std::nullopt;
  if (!state)
    return fail(errc::sandbox_not_found, "the sandbox does not run");
  end_copying(id);
  return find_running(files_of(id), *state, attach_patience);
}

result<void> docker_driver::remove_from_engine(const std::string& id, steady_time deadline) const {
  for (auto pause = 10ms;; pause = std::min(pause * 2, std::chrono::milliseconds{200})) {
    auto removed =
        engine_.ask("DELETE", "/containers/" + container_name(id) + "?force=1&v=1", nullptr, deadline);
    if (!removed)
      return std::move(removed.error());
    if (removed->good() || removed->status == 404)
      return caf::unit;
    // "removal is already in progress", or its end has not reached the engine yet.
    if (std::chrono::steady_clock::now() + pause > deadline)
      return fail(errc::internal, "the engine does not remove the container: " + removed->message());
    std::this_thread::sleep_for(pause);
  }
}

result<void> docker_driver::destroy(const sandbox_id& id) {
  if (!is_sandbox_id(id.value))
    return fail(errc::invalid_argument, "not the id of a sandbox");
  auto deadline = within(destroy_timeout);
  auto files = files_of(id);
  if (auto done = stop_holders(files.copying, deadline); !done)
    return done;
  // Those of its containers are in its group and die with it; what else they have is left.
  if (auto done = kill_all_of(files, group(id), deadline); !done)
    return done;
  auto below = containers(id);
  if (!below)
    return std::move(below.error());
  for (const auto& each : *below)
    if (auto done = destroy_container(id, each); !done)
      return done;
  if (auto done = remove_all_of(id.value, files, deadline); !done)
    return done;
  std::lock_guard lock{sizes_mutex_};
  sizes_.erase(id);
  return caf::unit;
}

result<void> docker_driver::kill_all_of(const box_files& files, const cgroup& processes,
                                        steady_time deadline) {
  // What the engine would do takes long, and it cannot end what is frozen behind its back.
  if (auto state = docker::read_state(files))
    if (auto init = docker::open_init(*state)) {
      kill_process(init.get());
      processes.thaw();
      wait_for_exit(init.get(), deadline);
    }
  if (auto done = processes.kill_all(deadline); !done)
    return done;
  return processes.remove(deadline);
}

result<void> docker_driver::remove_all_of(const std::string& id, const box_files& files,
                                          steady_time deadline) const {
  std::error_code error;
  if (std::filesystem::exists(files.asked, error))
    if (auto done = remove_from_engine(id, deadline); !done)
      return fail(code_of(done.error()), without_host_paths(text_of(done.error())));
  // Last: until then `list` finds it.
  if (auto done = remove_tree(files.box, deadline); !done)
    return fail(errc::internal, without_host_paths(text_of(done.error())));
  return caf::unit;
}

result<std::vector<sandbox_id>> docker_driver::list() {
  auto filter = nlohmann::json{{"label", {std::string{docker::server_label} + "=" + server_}}}.dump();
  auto listed =
      engine_.get("/containers/json?all=1&filters=" + docker::encoded(filter), within(short_patience));
  // What has no directory is nobody's: an engine made it after it was given up. One that is down holds
  // nothing that runs, and is asked again the next time.
  std::error_code ignored;
  if (listed && listed->good() && listed->body.is_array())
    for (const auto& container : listed->body)
      if (auto id =
              container.is_object() ? container.value("/Labels/sandy.id"_json_pointer, std::string{}) : "";
          (is_sandbox_id(id) || is_container_id(id)) && !std::filesystem::exists(files_of({id}).box, ignored))
        static_cast<void>(remove_from_engine(id, within(short_patience)));
  std::vector<sandbox_id> ids;
  for (auto& name : directories_in(docker::boxes_directory(home_)))
    if (is_sandbox_id(name))
      ids.push_back({std::move(name)});
  std::sort(ids.begin(), ids.end());
  return ids;
}

result<driver::usage> docker_driver::stats(const sandbox_id& id) {
  auto found = count(id);
  if (!found)
    return found;
  found->disk_bytes = written_by(id);
  return found;
}

/// The engine knows where it keeps what a container wrote, and walks through all of it: that is asked for one
/// sandbox at a time, seldom, and everybody else hears what was known before.
std::uint64_t docker_driver::written_by(const sandbox_id& id) {
  std::unique_lock turn{sizing_, std::try_to_lock};
  {
    std::lock_guard lock{sizes_mutex_};
    auto known = sizes_.find(id);
    const auto fresh = known != sizes_.end() && known->second.asked + options_.size_age > within(0s);
    if (fresh || !turn)
      return known == sizes_.end() ? 0 : known->second.bytes;
  }
  auto about = engine_.get("/containers/" + container_name(id.value) + "/json?size=1", within(size_patience));
  std::lock_guard lock{sizes_mutex_};
  if (!knows(id)) // it ended meanwhile
    return 0;
  auto& known = sizes_[id];
  known.asked = within(0s);
  if (about && about->good() && about->body.is_object())
    known.bytes = about->body.value("SizeRw", known.bytes);
  return known.bytes;
}

result<void> docker_driver::set_limits(const sandbox_id& id, const resource_limits& limits) {
  auto done = host_driver::set_limits(id, limits);
  if (!done)
    return done;
  // They hold from here on. The engine is told because it may write what it knows once more, as one that uses
  // systemd does.
  nlohmann::json changed = nlohmann::json::object();
  if (limits.memory_bytes > 0) {
    changed["Memory"] = limits.memory_bytes;
    if (layout_.swap_accounting())
      changed["MemorySwap"] = limits.memory_bytes;
  }
  if (limits.cpu_millis > 0)
    changed["CpuQuota"] = cpu_quota_usec(limits.cpu_millis);
  if (limits.pids > 0)
    changed["PidsLimit"] = limits.pids;
  static_cast<void>(engine_.ask("POST", "/containers/" + container_name(id.value) + "/update", changed,
                                within(short_patience)));
  return done;
}

result<void> docker_driver::sweep_images() {
  auto swept = host_driver::sweep_images();
  std::set<std::string> wanted;
  auto want = [&](const result<origin>& from) {
    if (from)
      wanted.insert(engine_images_.name_of(*from));
  };
  for (const auto& name : directories_in(docker::boxes_directory(home_)))
    want(read_origin(files_of({name}).origin));
  for (const auto& name : images_.list())
    want(layers_.find(name, {}));
  for (const auto& layer : layers_.list())
    want(layers_.find({}, layer));
  // An engine that is down is asked again the next time.
  static_cast<void>(engine_images_.keep_only(wanted));
  return swept;
}

} // namespace sandy::runtime
