#include "runtime/host_driver.hpp"

#include "runtime/guest/ping.hpp"
#include "runtime/network_namespace.hpp"

#include <algorithm>
#include <filesystem>

namespace sandy::runtime {

namespace {

using namespace std::chrono_literals;

/// Freezing takes well under a millisecond, unless a process waits for a device.
constexpr auto pause_timeout = 2s;
/// Killing takes some milliseconds, unless a process waits for a device; in a paused sandbox it only begins.
constexpr std::chrono::milliseconds end_group_timeout = 2s, end_group_timeout_paused = 20ms;
/// For the kernel to see that the last process has left.
constexpr auto leave_group_timeout = 100ms;
/// A guest answers within a millisecond; one that is stuck is as good as gone.
constexpr auto verify_patience = 1s;

} // namespace

host_driver::host_driver(cgroup_layout layout, const std::string& image_dir, const std::string& data_dir)
    : layout_(std::move(layout))
    , images_(image_dir)
    , layers_(data_dir, images_)
    , imported_(image_dir) {}

void host_driver::describe(instance& made, const origin& from) const {
  made.variables = images_.variables(from.image);
  made.image_version = from.image;
  made.workdir = images_.working_directory(from.image);
}

result<void> host_driver::verify(const sandbox_id&, const instance& where) {
  return guest::ping_blocking(where.guest_socket, verify_patience);
}

result<std::chrono::milliseconds> host_driver::quiet_time(const instance& where) {
  return guest::quiet_time_blocking(where.guest_socket, verify_patience);
}

result<void> host_driver::pause(const sandbox_id& id) {
  auto processes = group(id);
  if (!is_sandbox_id(id.value) || !processes.exists())
    return fail(errc::sandbox_not_found, "the sandbox does not run");
  auto frozen = processes.freeze(std::chrono::steady_clock::now() + pause_timeout);
  if (!frozen && code_of(frozen.error()) == errc::internal)
    return fail(errc::sandbox_failed, "The sandbox cannot be paused: " + text_of(frozen.error()));
  return frozen;
}

result<void> host_driver::resume(const sandbox_id& id) {
  auto processes = group(id);
  if (!is_sandbox_id(id.value) || !processes.exists())
    return fail(errc::sandbox_not_found, "the sandbox does not run");
  processes.thaw();
  if (processes.frozen())
    return fail(errc::internal, "the kernel does not let the sandbox go on");
  return caf::unit;
}

result<unique_fd> host_driver::make_group(const sandbox_id& id, const std::string& name) {
  if (!is_sandbox_id(id.value) || !is_sandbox_id(name))
    return fail(errc::invalid_argument, "not the name of a group in a sandbox");
  auto made = group(id).below(name).make_member_group();
  if (!made && code_of(made.error()) == errc::sandbox_not_found)
    return fail(errc::sandbox_ended, "The sandbox does not run any more");
  return made;
}

result<void> host_driver::end_group(const sandbox_id& id, const std::string& name) {
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

result<void> host_driver::remove_empty_groups(const sandbox_id& id) {
  if (!is_sandbox_id(id.value))
    return fail(errc::invalid_argument, "not the id of a sandbox");
  group(id).remove_empty_below(std::chrono::steady_clock::now() + leave_group_timeout, is_container_id);
  return caf::unit;
}

result<std::vector<container_id>> host_driver::containers_noted_in(const std::string& directory) {
  std::vector<container_id> all;
  std::error_code error;
  for (std::filesystem::directory_iterator at{directory, error}, end; !error && at != end;
       at.increment(error))
    if (auto name = at->path().filename().string(); is_container_id(name))
      all.push_back({std::move(name)});
  if (error && error != std::errc::no_such_file_or_directory)
    return fail(errc::internal, "cannot look for the sandbox's containers: " + error.message());
  std::sort(all.begin(), all.end());
  return all;
}

result<driver::usage> host_driver::count(const sandbox_id& id) const {
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
  return found;
}

result<void> host_driver::set_limits(const sandbox_id& id, const resource_limits& limits) {
  if (!is_sandbox_id(id.value))
    return fail(errc::sandbox_not_found, "the sandbox does not run");
  return group(id).set_limits(limits);
}

result<unix_millis> host_driver::image_changed_at(const std::string& image) {
  return images_.changed_at(image);
}

result<std::vector<installed_image>> host_driver::images() {
  std::vector<installed_image> all;
  for (auto& name : images_.list())
    if (auto described = images_.describe_image(name)) // not replaced at this moment
      all.push_back(std::move(*described));
  return all;
}

bool host_driver::has_program(const std::string& name, const instance& where) {
  return images_.has_program(name, where.image_version);
}

result<unique_fd> host_driver::connect(const instance& where, std::uint16_t port) {
  return connect_inside(where.init.get(), port);
}

result<unique_fd> host_driver::listen(const instance& where, std::uint16_t port) {
  return listen_inside(where.init.get(), port);
}

result<unique_fd> host_driver::open_socket(const instance& where, int family) {
  auto socket = open_socket_inside(where.init.get(), family);
  if (socket)
    limit_socket_buffers(socket->get());
  return socket;
}

result<connection_capture> host_driver::capture(const instance& where, const captured_range& range) {
  return capture_connections(where.init.get(), range);
}

result<network_capture> host_driver::capture_network(const instance& where) {
  return runtime::capture_network(where.init.get());
}

} // namespace sandy::runtime
