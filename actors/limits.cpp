#include "actors/limits.hpp"

#include <algorithm>

namespace sandy {

namespace {

template <class T>
T pick(T asked, T of_flavor, T of_worker, T most) {
  auto wanted = asked != 0 ? asked : of_flavor != 0 ? of_flavor : of_worker;
  return std::min(wanted, most);
}

} // namespace

resource_limits effective_limits(const resource_limits& asked, const resource_limits& of_flavor,
                                 const worker_settings& settings) {
  const auto& usual = settings.default_limits;
  const auto& most = settings.max_limits;
  return {pick(asked.memory_bytes, of_flavor.memory_bytes, usual.memory_bytes, most.memory_bytes),
          pick(asked.cpu_millis, of_flavor.cpu_millis, usual.cpu_millis, most.cpu_millis),
          pick(asked.pids, of_flavor.pids, usual.pids, most.pids),
          pick(asked.disk_bytes, of_flavor.disk_bytes, usual.disk_bytes, most.disk_bytes)};
}

resource_limits child_limits(const resource_limits& asked, const resource_limits& of_parent) {
  return {pick(asked.memory_bytes, std::uint64_t{0}, of_parent.memory_bytes, of_parent.memory_bytes),
          pick(asked.cpu_millis, std::uint32_t{0}, of_parent.cpu_millis, of_parent.cpu_millis),
          pick(asked.pids, std::uint32_t{0}, of_parent.pids, of_parent.pids),
          pick(asked.disk_bytes, std::uint64_t{0}, of_parent.disk_bytes, of_parent.disk_bytes)};
}

std::uint32_t effective_ttl(std::uint32_t asked_seconds, bool is_child, const worker_settings& settings) {
  auto usual = is_child ? settings.children.default_ttl : settings.default_ttl;
  auto wanted = asked_seconds != 0 ? asked_seconds : static_cast<std::uint32_t>(usual.count());
  if (is_child)
    wanted = std::min(wanted, static_cast<std::uint32_t>(settings.children.max_ttl.count()));
  if (settings.max_ttl.count() > 0)
    wanted = std::min(wanted, static_cast<std::uint32_t>(settings.max_ttl.count()));
  return wanted;
}

void bound_lease(sandbox_info& info, const worker_settings& settings) {
  const auto longest = settings.max_lifetime.count();
  if (longest == 0) {
    info.latest_end = 0;
    return;
  }
  info.latest_end = info.created_at + 1000 * longest;
  info.expires_at = std::min(info.expires_at, info.latest_end);
  info.ttl_seconds = static_cast<std::uint32_t>(std::min<std::int64_t>(info.ttl_seconds, longest));
}

void choose_runtime(const create_sandbox& request, const runtime_settings& settings, sandbox_info& into) {
  const bool wants_docker = request.docker_socket || request.upstream.starts_with("docker");
  into.runtime = settings.docker && wants_docker ? "docker" : settings.usual;
  into.docker_socket = request.docker_socket && settings.docker_socket && into.runtime == "docker" &&
                       request.caller.sandbox.value.empty();
}

} // namespace sandy
