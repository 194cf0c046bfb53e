// How docker_driver makes a sandbox; the rest of the driver is in docker_driver.cpp.

#include "runtime/crun/layout.hpp"
#include "runtime/docker/container_request.hpp"
#include "runtime/docker/docker_driver.hpp"
#include "runtime/docker/inner_files.hpp"
#include "runtime/docker/podman.hpp"
#include "runtime/files.hpp"
#include "runtime/guest_listener.hpp"
#include "runtime/ipc_limits.hpp"
#include "runtime/sandbox_profile.hpp"
#include "runtime/system_failure.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

namespace sandy::runtime {

using docker::box_files;
using docker::box_state;

namespace {

caf::error refused(const char* what, const docker::engine_answer& answer) {
  auto text = answer.message();
  return fail(mentions_exhaustion(text) ? errc::capacity_exhausted : errc::sandbox_failed,
              std::string{what} + ": " + text);
}

caf::error image_is_missing() {
  return fail_for_now(errc::capacity_exhausted, "Docker's engine does not have the image yet", 5);
}

/// The control group that the kernel has a process in, by the tree of all or by that which limits memory.
result<std::string> group_of(std::int32_t pid, const cgroup_layout& layout) {
  const auto wanted =
      layout.kind() == cgroup_layout::version::v2 ? std::string{"0::"} : std::string{":memory:"};
  auto text = read_small_file("/proc/" + std::to_string(pid) + "/cgroup").value_or("");
  for (std::size_t begin = 0; begin < text.size();) {
    auto end = std::min(text.find('\n', begin), text.size());
    auto line = text.substr(begin, end - begin);
    if (auto at = line.find(wanted); at != std::string::npos)
      return line.substr(at + wanted.size());
    begin = end + 1;
  }
  return fail(errc::sandbox_failed, "the engine's control groups are not this machine's");
}

} // namespace

result<instance> docker_driver::create(const sandbox_spec& spec) {
  if (!is_sandbox_id(spec.id.value))
    return fail(errc::invalid_argument, "not the id of a sandbox");
  auto from = layers_.find(spec.image, spec.layer);
  if (!from)
    return std::move(from.error());
  auto trees = layers_.trees(*from);
  if (!trees)
    return std::move(trees.error());
  auto files = files_of(spec.id);
  if (::mkdir(files.box.c_str(), 0700) != 0) {
    if (errno == EEXIST) // not ours to clean up
      return fail(errc::conflict, "a sandbox of this id exists");
    return system_failure("cannot create the sandbox's directory", errno, errc::sandbox_failed);
  }
  auto made = start(spec, files, *from, *trees, nullptr);
  if (made)
    return made;
  auto undone = destroy(spec.id);
  return for_callers(made.error(),
                     undone ? std::string{}
                            : "; what was made of it could not be removed: " + text_of(undone.error()));
}

result<bool> docker_driver::prepare_image(const std::string& image, const layer_id& layer) {
  auto from = layers_.find(image, layer);
  if (!from)
    return std::move(from.error());
  auto trees = layers_.trees(*from);
  if (!trees)
    return std::move(trees.error());
  auto there = engine_images_.provide(*from, std::move(*trees));
  if (!there)
    return for_callers(there.error(), {});
  return there;
}

caf::error docker_driver::for_callers(const caf::error& err, const std::string& more) const {
  auto text = without_host_paths(text_of(err) + more);
  if (auto again = retry_after_of(err); again > 0)
    return fail_for_now(code_of(err), std::move(text), again);
  return fail(code_of(err), std::move(text));
}

result<unique_fd> docker_driver::open_hatch(const box_files& files) const {
  auto path = files.hatch + "/" + docker::socket_in_hatch;
  if (::mkdir(files.hatch.c_str(), 0755) != 0 ||
      ::link((home_ + "/guest").c_str(), (files.hatch + "/" + docker::guest_in_hatch).c_str()) != 0)
    return system_failure("cannot prepare the guest's program");
  auto hatch = listen_at(path);
  // With user namespaces the guest's root is somebody else here. Nobody but the guest gets to this directory.
  if (hatch && (::chmod(files.hatch.c_str(), 0755) != 0 || ::chmod(path.c_str(), 0666) != 0))
    return system_failure("cannot prepare the guest's socket");
  return hatch;
}

result<instance> docker_driver::start(const sandbox_spec& spec, const box_files& files, const origin& from,
                                      const host_paths& trees, const host_sandbox* within) {
  if (auto done = write_origin(files.origin, from); !done)
    return std::move(done.error());
  // Also whether there is an engine: what one that is down was asked for cannot be removed before it is back.
  auto there = engine_images_.provide(from, trees);
  if (!there)
    return std::move(there.error());
  if (!*there)
    return image_is_missing();
  auto deadline = std::chrono::steady_clock::now() + options_.create_timeout;
  auto listener = listen_at(files.socket);
  if (!listener)
    return std::move(listener.error());
  auto hatch = open_hatch(files);
  if (!hatch)
    return std::move(hatch.error());
  auto container = make_container(spec, files, from, trees, within, deadline);
  if (!container)
    return std::move(container.error());
  auto started = engine_.ask("POST", "/containers/" + *container + "/start", nullptr, deadline);
  if (!started)
    return std::move(started.error());
  if (!started->good())
    return refused("the sandbox could not be started", *started);
  if (auto passed = pass_through_hatch(hatch->get(), listener->get(), deadline); !passed)
    return std::move(passed.error());
  auto state = inspect(*container, deadline);
  if (!state)
    return std::move(state.error());
  auto init = docker::open_init(*state);
  if (!init)
    return fail(errc::sandbox_failed, "the sandbox ended while it was made");
  if (within)
    if (auto moved = move_into(*within, spec, *state, init.get()); !moved)
      return std::move(moved.error());
  // As in the OCI configuration of crun_driver: a tmpfs is the sandbox's memory, and killing does not free
  // it.
  const auto tmp_files = within ? 0 : std::max<std::uint64_t>(1024, spec.limits.memory_bytes / 16384);
  if (auto settled = docker::settle_files_inside(init.get(), tmp_files); !settled)
    return std::move(settled.error());
  std::error_code error;
  if (std::filesystem::remove_all(files.hatch, error); error)
    return fail(errc::internal, "cannot close the guest's hatch: " + error.message());
  auto root = host_uid_of_root(state->init_pid);
  const auto memory_bytes = spec.limits.memory_bytes / (within ? most_containers : 1);
  if (auto done = limit_ipc(init.get(), root.value_or(0), memory_bytes); !done)
    return std::move(done.error());
  if (auto written = docker::write_state(files, *state); !written)
    return std::move(written.error());
  auto running = find_running(files, *state, std::chrono::milliseconds{milliseconds_until(deadline)});
  if (!running)
    return fail(errc::sandbox_failed,
                "the sandbox started but its guest does not answer: " + text_of(running.error()));
  return running;
}

result<std::string> docker_driver::make_container(const sandbox_spec& spec, const box_files& files,
                                                  const origin& from, const host_paths& trees,
                                                  const host_sandbox* within, steady_time deadline) {
  docker::container_options wanted;
  wanted.image = engine_images_.name_of(from);
  wanted.hatch = files.hatch;
  wanted.limits = spec.limits;
  wanted.swap_accounting = layout_.swap_accounting();
  wanted.oom_score = sandbox_oom_score();
  wanted.guest_arguments = options_.guest_arguments;
  wanted.seccomp = seccomp_;
  wanted.labels = {{docker::server_label, server_}, {"sandy.id", spec.id.value}};
  if (within)
    wanted.within = within->container;
  if (spec.docker_socket) {
    if (::mkdir(files.workspace.c_str(), 0755) != 0)
      return system_failure("cannot create the sandbox's workspace");
    wanted.engine_socket = options_.engine_socket;
    wanted.workspace = files.workspace;
  }
  if (auto noted = write_new_file(files.asked, ""); !noted)
    return std::move(noted.error());
  auto request = docker::container_request(wanted);
  auto podman = docker::is_podman(engine_, deadline);
  if (!podman)
    return std::move(podman.error());
  if (*podman)
    request = docker::in_words_of_podman(std::move(request), seccomp_file_in(home_));
  auto target = "/containers/create?name=" + container_name(spec.id.value);
  auto made = engine_.ask("POST", target, request, deadline);
  if (made && made->status == 404) { // somebody tidied the engine's images away
    auto there = engine_images_.provide(from, trees);
    if (!there)
      return std::move(there.error());
    if (!*there)
      return image_is_missing();
    made = engine_.ask("POST", target, request, deadline);
  }
  if (!made)
    return std::move(made.error());
  auto id = made->body.is_object() ? made->body.value("Id", std::string{}) : std::string{};
  if (!made->good() || id.empty())
    return refused("the sandbox could not be made", *made);
  return id;
}

result<box_state> docker_driver::inspect(const std::string& container, steady_time deadline) const {
  auto about = engine_.get("/containers/" + container + "/json", deadline);
  if (!about)
    return std::move(about.error());
  if (!about->good() || !about->body.is_object())
    return refused("the engine does not say what it started", *about);
  box_state state;
  state.container = container;
  state.init_pid = about->body.value("/State/Pid"_json_pointer, 0);
  auto ticks = state.init_pid > 1 ? process_start_ticks(state.init_pid) : std::nullopt;
  if (!ticks)
    return fail(errc::sandbox_failed, "the sandbox ended while it was made");
  state.init_start_ticks = *ticks;
  auto path = group_of(state.init_pid, layout_);
  if (!path)
    return std::move(path.error());
  // A pid of another machine, or of another pid namespace, is not that of a process in the container's group.
  if (path->find(container) == std::string::npos || !cgroup{layout_, *path}.contains(state.init_pid))
    return fail(errc::sandbox_failed, "the engine does not start processes of this machine");
  state.cgroup = std::move(*path);
  return state;
}

result<host_driver::layer_source> docker_driver::source_of(const sandbox_id& id) {
  auto files = files_of(id);
  auto from = read_origin(files.origin);
  if (!from)
    return std::move(from.error());
  auto state = docker::read_state(files);
  if (!state || !docker::open_init(*state))
    return fail(errc::sandbox_failed, "the sandbox does not run");
  auto about = engine_.get("/containers/" + state->container + "/json?size=1",
                           std::chrono::steady_clock::now() + options_.create_timeout);
  if (!about)
    return std::move(about.error());
  auto unreadable = [] {
    return fail(errc::feature_unavailable,
                "Docker's engine does not keep what a sandbox wrote where a snapshot can be made from it");
  };
  if (!about->good() || !about->body.is_object())
    return refused("the engine does not know the sandbox", *about);
  auto text = [&](const char* pointer) {
    return about->body.value(nlohmann::json::json_pointer{pointer}, std::string{});
  };
  auto upper = text("/GraphDriver/Data/UpperDir");
  auto storage = text("/GraphDriver/Name");
  std::error_code ignored;
  // In a user namespace owners on disk are not those that the sandbox sees.
  auto shifted = host_uid_of_root(state->init_pid) != 0u;
  if ((storage != "overlay2" && storage != "overlay") || shifted || !upper.starts_with('/') ||
      !std::filesystem::is_directory(upper, ignored))
    return unreadable();
  return layer_source{std::move(*from),
                      about->body.value("SizeRw", std::uint64_t{0}),
                      {"/bin/cp", "--archive", "--one-file-system", "--no-target-directory", upper},
                      options_.copy_timeout};
}

std::string docker_driver::without_host_paths(std::string text) const {
  for (const auto& path : {options_.data_dir, options_.image_dir, options_.engine_socket, options_.exporter})
    for (std::size_t at = 0; !path.empty() && (at = text.find(path, at)) != std::string::npos; at += 3)
      text.replace(at, path.size(), "...");
  return text;
}

} // namespace sandy::runtime
