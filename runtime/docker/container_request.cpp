#include "runtime/docker/container_request.hpp"

#include "runtime/cgroup.hpp"
#include "runtime/crun/layout.hpp"
#include "runtime/disk_files.hpp"
#include "runtime/sandbox_profile.hpp"

#include <algorithm>
#include <string_view>

namespace sandy::runtime::docker {

namespace {

using nlohmann::json;

/// The engine writes capabilities without their prefix, and takes both; Podman takes this.
json added_capabilities() {
  json list = json::array();
  for (std::string_view name : sandbox_capabilities)
    list.push_back(name.substr(std::string_view{"CAP_"}.size()));
  return list;
}

json bind_mount(const std::string& source, const std::string& target, bool writable) {
  return {{"Type", "bind"}, {"Source", source}, {"Target", target}, {"ReadOnly", !writable}};
}

json mounts(const container_options& options) {
  json list = json::array({bind_mount(options.hatch, hatch_inside, false)});
  if (!options.engine_socket.empty())
    list.push_back(bind_mount(options.engine_socket, "/var/run/docker.sock", true));
  if (!options.workspace.empty())
    list.push_back(bind_mount(options.workspace, "/workspace", true));
  return list;
}

} // namespace

json container_request(const container_options& options) {
  std::vector<std::string> program{std::string{hatch_inside} + "/" + guest_in_hatch, "--hatch",
                                   std::string{hatch_inside} + "/" + socket_in_hatch};
  program.insert(program.end(), options.guest_arguments.begin(), options.guest_arguments.end());
  json labels = json::object();
  for (const auto& [name, value] : options.labels)
    labels[name] = value;
  auto files = sandbox_open_files();
  const auto& limits = options.limits;
  const auto nested = !options.within.empty();
  json host{
      {"NetworkMode", nested ? "container:" + options.within : "none"},
      {"IpcMode", "private"},
      {"CgroupnsMode", "private"},
      {"Memory", limits.memory_bytes},
      {"PidsLimit", limits.pids},
      {"CpuPeriod", cpu_period_usec},
      {"CpuQuota", cpu_quota_usec(limits.cpu_millis)},
      {"CpuShares", std::max<std::uint64_t>(2, limits.cpu_millis * 1024ull / 1000)},
      {"OomScoreAdj", options.oom_score},
      {"CapDrop", {"ALL"}},
      {"CapAdd", added_capabilities()},
      {"SecurityOpt", {"no-new-privileges", "seccomp=" + options.seccomp}},
      {"MaskedPaths", masked_paths},
      {"ReadonlyPaths", readonly_paths},
      {"Ulimits",
       {{{"Name", "nofile"}, {"Soft", files.soft}, {"Hard", files.hard}},
        {{"Name", "core"}, {"Soft", 0}, {"Hard", 0}}}},
      {"ShmSize",
       std::min<std::uint64_t>(64 << 20, limits.memory_bytes / (nested ? 8 * most_containers : 8))},
      {"Mounts", mounts(options)},
      {"LogConfig", {{"Type", "none"}}},
      {"RestartPolicy", {{"Name", "no"}}},
  };
  if (options.swap_accounting)
    host["MemorySwap"] = limits.memory_bytes; // of both together: none of it is swap
  if (!options.cgroup_parent.empty())
    host["CgroupParent"] = options.cgroup_parent;
  json request{
      {"Image", options.image},   {"User", "0:0"},     {"Entrypoint", program}, {"Cmd", json::array()},
      {"Env", first_environment}, {"WorkingDir", "/"}, {"Tty", false},          {"Labels", labels},
  };
  if (!nested) { // else it has its /tmp on its disk, and the engine takes the rest from the sandbox
    request["Hostname"] = sandbox_hostname;
    host["Tmpfs"] = {
        {"/tmp", "rw,exec,nosuid,nodev,mode=1777,size=" + std::to_string(limits.memory_bytes / 4)}};
    // The engine switches IPv6 off in a network without addresses; programs expect ::1.
    host["Sysctls"] = {{"net.ipv6.conf.all.disable_ipv6", "0"}, {"net.ipv4.ip_unprivileged_port_start", "0"}};
  }
  request["HostConfig"] = std::move(host);
  return request;
}

} // namespace sandy::runtime::docker
