#pragma once

#include <array>
#include <cstdint>

namespace sandy::runtime {

// What every sandbox is held to, whichever driver makes it.

/// Root-like inside: enough for package managers and for dropping to another user; nothing that reaches the
/// kernel's own.
inline constexpr std::array sandbox_capabilities{"CAP_CHOWN",  "CAP_DAC_OVERRIDE",    "CAP_FOWNER",
                                                 "CAP_FSETID", "CAP_SETUID",          "CAP_SETGID",
                                                 "CAP_KILL",   "CAP_NET_BIND_SERVICE"};

/// The environment of process 1, which nobody else inherits.
inline constexpr std::array first_environment{
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"};

inline constexpr std::array masked_paths{
    "/proc/acpi",          "/proc/asound",     "/proc/kcore",       "/proc/keys",
    "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
    "/proc/scsi",          "/proc/kmsg",       "/proc/interrupts",  "/proc/config.gz",
    "/proc/kallsyms",      "/proc/cmdline",    "/sys/firmware",     "/sys/devices/virtual/powercap",
    "/sys/kernel",         "/sys/fs/pstore"};

inline constexpr std::array readonly_paths{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                           "/proc/sysrq-trigger"};

struct open_file_limits {
  std::uint64_t soft = 0, hard = 0;
};
/// Of every process; no more than the server's own: raising a hard limit needs a right that a server in a
/// container lacks.
open_file_limits sandbox_open_files();

/// What the kernel's choice of a victim starts from, in a sandbox: a protected server does not protect its
/// sandboxes.
int sandbox_oom_score();

} // namespace sandy::runtime
