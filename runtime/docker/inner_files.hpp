#pragma once

#include "messages/error.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace sandy::runtime::docker {

/// Takes away what the engine mounts into a container that tells of the host or stands in the way: the hatch
/// (see container_request.hpp), and /etc/hosts, /etc/hostname and /etc/resolv.conf, which could not be
/// replaced as files are. In their place are those that every sandbox has, see disk_files. What it mounts
/// control groups on becomes read-only.
/// @param tmp_files how many files its /tmp, a tmpfs, may hold; 0 where it is a part of its disk.
/// @param pidfd of process 1, which is the guest and nobody else yet. Fails with sandbox_failed.
result<void> settle_files_inside(int pidfd, std::uint64_t tmp_files);

/// A directory of the host that holds a control group's files, and where it is to be seen inside.
struct visible_group {
  std::string directory;
  std::string inside;
};

/// Covers what the engine shows of its control groups in a container: programs size themselves by the limits
/// that they read, and those are the sandbox's. Read-only; what the engine does not show stays unseen.
/// @param pidfd as above. Fails with sandbox_failed.
result<void> show_groups_inside(int pidfd, const std::vector<visible_group>& groups);

} // namespace sandy::runtime::docker
