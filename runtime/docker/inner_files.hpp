#pragma once

#include "messages/error.hpp"

namespace sandy::runtime::docker {

/// Takes away what the engine mounts into a container that tells of the host or stands in the way: the hatch
/// (see container_request.hpp), and /etc/hosts, /etc/hostname and /etc/resolv.conf, which could not be
/// replaced as files are. In their place are those that every sandbox has, see disk_files.
/// @param pidfd of process 1, which is the guest and nobody else yet. Fails with sandbox_failed.
result<void> settle_files_inside(int pidfd);

} // namespace sandy::runtime::docker
