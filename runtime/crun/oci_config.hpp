#pragma once

#include "messages/sandbox.hpp"
#include "runtime/crun/layout.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <utility>
#include <vector>

namespace sandy::runtime {

/// What the configuration of one sandbox depends on.
struct oci_options {
  std::string rootfs;      ///< where the launcher mounts the sandbox's file system
  std::string cgroup_path; ///< absolute within each tree
  /// v1: the groups a sandbox may read, as directories of the host and what they are called. Empty with v2:
  /// its one.
  std::vector<std::pair<std::string, std::string>> visible_groups;
  resource_limits limits;
  std::uint32_t host_uid = 0; ///< the sandbox's root on the host; ids of groups are the same
  bool swap_accounting = true;
  int oom_score =
      0; ///< oom_score_adj of process 1: that of the server, which may not be lowered without rights
  std::vector<std::string> arguments;          ///< process 1
  const std::string* seccomp_base64 = nullptr; ///< the compiled filter
  /// Of a container in a sandbox: paths of the sandbox's user and network namespaces. Its control group is
  /// the launcher's to join. Empty: both are made, and the control group with its limits.
  std::string user_namespace, network_namespace;
};

/// The configuration crun reads: the OCI runtime specification, 1.0.
nlohmann::json oci_config(const oci_options& options);

/// Bytes in base64 (RFC 4648), as the annotation for a compiled filter wants them.
std::string base64(std::string_view bytes);

} // namespace sandy::runtime
