#include "runtime/crun/oci_config.hpp"

#include "runtime/cgroup.hpp"
#include "runtime/disk_files.hpp"
#include "runtime/sandbox_profile.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace sandy::runtime {

namespace {

using nlohmann::json;

json mount(const char* destination, const char* type, std::vector<std::string> options) {
  return {{"destination", destination}, {"type", type}, {"source", type}, {"options", std::move(options)}};
}

/// Memory of a tmpfs is the sandbox's, and killing processes does not free it: together they stay under half
/// of the limit, in bytes and in what their inodes cost the kernel, so that whoever fills them dies and
/// process 1 does not.
json mounts(const oci_options& oci) {
  auto memory_bytes = oci.limits.memory_bytes;
  auto text = [](const char* key, std::uint64_t value) { return key + std::to_string(value); };
  auto tmp_inodes =
      std::max<std::uint64_t>(1024, memory_bytes / 16384); // at about 1 KiB of kernel memory each
  const auto nested = !oci.user_namespace.empty();
  // The sandbox takes three eighths of the memory for its own; what is left is for all of its containers.
  auto shm_bytes = std::min<std::uint64_t>(64 << 20, memory_bytes / (nested ? 8 * most_containers : 8));
  json list{
      mount("/proc", "proc", {"nosuid", "noexec", "nodev"}),
      mount("/dev", "tmpfs", {"nosuid", "noexec", "strictatime", "mode=755", "size=64k", "nr_inodes=1024"}),
      // Bounded, because the kernel has some thousand terminals for all sandboxes together.
      mount("/dev/pts", "devpts",
            {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5", "max=256"}),
      mount("/dev/shm", "tmpfs",
            {"nosuid", "noexec", "nodev", "mode=1777", text("size=", shm_bytes), "nr_inodes=4096"}),
      mount("/dev/mqueue", "mqueue", {"nosuid", "noexec", "nodev"}),
      mount("/sys", "sysfs", {"nosuid", "noexec", "nodev", "ro"}),
  };
  if (!nested) // a container has its /tmp on its disk
    list.push_back(mount(
        "/tmp", "tmpfs",
        {"nosuid", "nodev", "mode=1777", text("size=", memory_bytes / 4), text("nr_inodes=", tmp_inodes)}));
  // Language runtimes size themselves by the limits they read. crun's own "cgroup" mount would do, but with
  // v1 it is ten mounts, on a tmpfs that the sandbox can write to.
  if (oci.visible_groups.empty()) {
    list.push_back(mount("/sys/fs/cgroup", "cgroup", {"nosuid", "noexec", "nodev", "relatime", "ro"}));
    return list;
  }
  list.push_back(mount("/sys/fs/cgroup", "tmpfs",
                       {"nosuid", "noexec", "nodev", "ro", "mode=755", "size=16k", "nr_inodes=16"}));
  for (const auto& [directory, name] : oci.visible_groups)
    list.push_back({{"destination", "/sys/fs/cgroup/" + name},
                    {"type", "bind"},
                    {"source", directory},
                    {"options", {"bind", "nosuid", "noexec", "nodev", "ro"}}});
  return list;
}

json resources(const oci_options& options) {
  auto device = [](const char* type, int major, int minor) -> json {
    json rule{{"allow", true}, {"access", "rw"}, {"type", type}, {"major", major}};
    if (minor >= 0)
      rule["minor"] = minor;
    return rule;
  };
  json memory{{"limit", options.limits.memory_bytes}};
  if (options.swap_accounting)
    memory["swap"] = options.limits.memory_bytes; // of both together: none of it is swap
  constexpr std::uint64_t shares_of_a_core = 1024;
  return {
      {"memory", memory},
      {"pids", {{"limit", options.limits.pids}}},
      {"cpu",
       {{"quota", cpu_quota_usec(options.limits.cpu_millis)},
        {"period", cpu_period_usec},
        {"shares", std::max<std::uint64_t>(2, options.limits.cpu_millis * shares_of_a_core / 1000)}}},
      {"devices",
       {{{"allow", false}, {"access", "rwm"}},
        device("c", 1, 3),     // null
        device("c", 1, 5),     // zero
        device("c", 1, 7),     // full
        device("c", 1, 8),     // random
        device("c", 1, 9),     // urandom
        device("c", 5, 0),     // tty
        device("c", 5, 2),     // ptmx
        device("c", 136, -1)}} // pts
  };
}

json limits_of_processes() {
  auto files = sandbox_open_files();
  return {{{"type", "RLIMIT_NOFILE"}, {"hard", files.hard}, {"soft", files.soft}},
          {{"type", "RLIMIT_CORE"}, {"hard", 0}, {"soft", 0}}};
}

json process(const oci_options& options) {
  static const json capabilities(sandbox_capabilities);
  return {
      {"terminal", false},
      {"user", {{"uid", 0}, {"gid", 0}}},
      {"args", options.arguments},
      {"env", first_environment},
      {"cwd", "/"},
      {"capabilities",
       {{"bounding", capabilities}, {"effective", capabilities}, {"permitted", capabilities}}},
      {"noNewPrivileges", true},
      {"oomScoreAdj", options.oom_score},
      {"rlimits", limits_of_processes()},
  };
}

} // namespace

json oci_config(const oci_options& options) {
  json namespaces = json::array();
  for (auto type : {"pid", "ipc", "uts", "mount", "cgroup"})
    namespaces.push_back({{"type", type}});
  for (const auto& [type, path] :
       {std::pair{"network", &options.network_namespace}, {"user", &options.user_namespace}}) {
    namespaces.push_back({{"type", type}});
    if (!path->empty())
      namespaces.back()["path"] = *path;
  }
  json ids{{{"containerID", 0}, {"hostID", options.host_uid}, {"size", ids_per_sandbox}}};
  json config{
      {"ociVersion", "1.0.0"},
      {"process", process(options)},
      {"root", {{"path", options.rootfs}, {"readonly", false}}},
      {"hostname", sandbox_hostname},
      {"mounts", mounts(options)},
      {"annotations", {{"run.oci.seccomp_bpf_data", *options.seccomp_base64}}},
      {"linux",
       {{"namespaces", namespaces},
        {"uidMappings", ids},
        {"gidMappings", ids},
        // crun wants a filter here to look at the annotation; it loads the annotation's.
        {"seccomp", {{"defaultAction", "SCMP_ACT_ALLOW"}}},
        {"maskedPaths", masked_paths},
        {"readonlyPaths", readonly_paths}}},
  };
  if (options.user_namespace.empty()) {
    config["linux"]["cgroupsPath"] = options.cgroup_path;
    config["linux"]["resources"] = resources(options);
  }
  return config;
}

std::string base64(std::string_view bytes) {
  static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    auto byte = [&](std::size_t i) {
      return at + i < bytes.size() ? static_cast<unsigned char>(bytes[at + i]) : 0u;
    };
    auto group = byte(0) << 16 | byte(1) << 8 | byte(2);
    for (std::size_t digit = 0; digit < 4; ++digit)
      text += at + digit <= bytes.size() ? digits[group >> (18 - 6 * digit) & 63] : '=';
  }
  return text;
}

} // namespace sandy::runtime
