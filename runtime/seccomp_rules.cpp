#include "runtime/seccomp_rules.hpp"

#include <sched.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <linux/netlink.h>

#include <cerrno>

namespace sandy::runtime {

const std::array<std::uint32_t, 2> refused_terminal_requests{TIOCSTI, TIOCLINUX};

scmp_arg_cmp equal(unsigned argument, std::uint64_t value) { return {argument, SCMP_CMP_EQ, value, 0}; }
scmp_arg_cmp masked(unsigned argument, std::uint64_t mask, std::uint64_t value) {
  return {argument, SCMP_CMP_MASKED_EQ, mask, value};
}

namespace {

// Names, not numbers: libseccomp leaves out what an architecture does not have.
constexpr const char* allowed_calls[] = {
    // Files and directories.
    "open", "openat", "openat2", "creat", "close", "close_range", "read", "readv", "pread64", "preadv",
    "preadv2", "write", "writev", "pwrite64", "pwritev", "pwritev2", "lseek", "access", "faccessat",
    "faccessat2", "stat", "fstat", "lstat", "newfstatat", "statx", "statfs", "fstatfs", "ustat", "getdents",
    "getdents64", "mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2",
    "link", "linkat", "symlink", "symlinkat", "readlink", "readlinkat", "chmod", "fchmod", "fchmodat",
    "chown", "fchown", "fchownat", "lchown", "truncate", "ftruncate", "fallocate", "fadvise64", "readahead",
    "utime", "utimes", "utimensat", "futimesat", "umask", "chdir", "fchdir", "getcwd", "flock", "fsync",
    "fdatasync", "sync", "syncfs", "sync_file_range", "sendfile", "copy_file_range", "splice", "tee", "fcntl",
    "ioctl", "dup", "dup2", "dup3", "pipe", "pipe2", "getxattr", "lgetxattr", "fgetxattr", "setxattr",
    "lsetxattr", "fsetxattr", "listxattr", "llistxattr", "flistxattr", "removexattr", "lremovexattr",
    "fremovexattr", "inotify_init", "inotify_init1", "inotify_add_watch", "inotify_rm_watch", "io_setup",
    "io_destroy", "io_submit", "io_cancel", "io_getevents", "io_pgetevents",
    // Waiting.
    "select", "pselect6", "poll", "ppoll", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_wait",
    "epoll_pwait", "epoll_pwait2", "eventfd", "eventfd2", "signalfd", "signalfd4", "timerfd_create",
    "timerfd_settime", "timerfd_gettime",
    // Memory.
    "brk", "mmap", "munmap", "mremap", "mprotect", "madvise", "mincore", "msync", "mlock", "mlock2",
    "munlock", "mlockall", "munlockall", "membarrier", "memfd_create", "pkey_alloc", "pkey_free",
    "pkey_mprotect",
    // Processes, identity, limits.
    "fork", "vfork", "execve", "execveat", "exit", "exit_group", "wait4", "waitid", "getpid", "getppid",
    "gettid", "getpgid", "setpgid", "getpgrp", "getsid", "setsid", "getuid", "geteuid", "getgid", "getegid",
    "getresuid", "getresgid", "getgroups", "setuid", "setgid", "setreuid", "setregid", "setresuid",
    "setresgid", "setfsuid", "setfsgid", "setgroups", "capget", "capset", "prctl", "arch_prctl", "getrlimit",
    "setrlimit", "prlimit64", "getrusage", "times", "getpriority", "setpriority", "ioprio_get", "ioprio_set",
    "sched_yield", "sched_getaffinity", "sched_setaffinity", "sched_getparam", "sched_setparam",
    "sched_getscheduler", "sched_setscheduler", "sched_getattr", "sched_setattr", "sched_get_priority_max",
    "sched_get_priority_min", "sched_rr_get_interval", "getcpu", "set_tid_address", "set_robust_list",
    "get_robust_list", "rseq", "futex", "futex_waitv", "pidfd_open", "pidfd_send_signal", "process_mrelease",
    "seccomp", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self",
    // Signals, time, machine.
    "kill", "tkill", "tgkill", "rt_sigaction", "rt_sigprocmask", "rt_sigpending", "rt_sigtimedwait",
    "rt_sigsuspend", "rt_sigreturn", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "sigaltstack", "restart_syscall",
    "pause", "alarm", "getitimer", "setitimer", "nanosleep", "clock_nanosleep", "clock_gettime",
    "clock_getres", "gettimeofday", "time", "timer_create", "timer_delete", "timer_settime", "timer_gettime",
    "timer_getoverrun", "uname", "sysinfo", "getrandom",
    // Sockets (which families: below) and System V and POSIX queues of the sandbox's own namespace.
    "socketpair", "bind", "connect", "listen", "accept", "accept4", "getsockname", "getpeername",
    "getsockopt", "setsockopt", "send", "sendto", "sendmsg", "sendmmsg", "recv", "recvfrom", "recvmsg",
    "recvmmsg", "shutdown", "shmget", "shmat", "shmdt", "shmctl", "semget", "semop", "semtimedop", "semctl",
    "msgget", "msgsnd", "msgrcv", "msgctl", "mq_open", "mq_unlink", "mq_timedsend", "mq_timedreceive",
    "mq_notify", "mq_getsetattr"};

// What a program may meet and has to be told EPERM for, because it takes ENOSYS for an old kernel.
constexpr const char* refused_calls[] = {"mount",
                                         "umount2",
                                         "pivot_root",
                                         "chroot",
                                         "fsopen",
                                         "fsconfig",
                                         "fsmount",
                                         "fspick",
                                         "open_tree",
                                         "move_mount",
                                         "mount_setattr",
                                         "unshare",
                                         "setns",
                                         "ptrace",
                                         "process_vm_readv",
                                         "process_vm_writev",
                                         "process_madvise",
                                         "pidfd_getfd",
                                         "kcmp",
                                         "bpf",
                                         "perf_event_open",
                                         "keyctl",
                                         "add_key",
                                         "request_key",
                                         "userfaultfd",
                                         "io_uring_setup",
                                         "io_uring_enter",
                                         "io_uring_register",
                                         "fanotify_init",
                                         "fanotify_mark",
                                         "name_to_handle_at",
                                         "open_by_handle_at",
                                         "init_module",
                                         "finit_module",
                                         "delete_module",
                                         "kexec_load",
                                         "kexec_file_load",
                                         "reboot",
                                         "syslog",
                                         "acct",
                                         "swapon",
                                         "swapoff",
                                         "quotactl",
                                         "quotactl_fd",
                                         "settimeofday",
                                         "clock_settime",
                                         "clock_adjtime",
                                         "adjtimex",
                                         "sethostname",
                                         "setdomainname",
                                         "iopl",
                                         "ioperm",
                                         "modify_ldt",
                                         "vhangup",
                                         "lookup_dcookie",
                                         "memfd_secret",
                                         "vmsplice",
                                         "remap_file_pages",
                                         "move_pages",
                                         "migrate_pages",
                                         "mbind",
                                         "set_mempolicy",
                                         "get_mempolicy",
                                         "nfsservctl"};

/// clone(2) flags that make namespaces.
constexpr std::uint64_t namespace_flags =
    CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP;

/// Unix, TCP, UDP, and the netlink that `ip` and libc ask for addresses. The refusals are those of a kernel
/// without the family: with EPERM, useradd gives up ("Cannot open audit interface").
void add_socket_rules(rule_sink& filter) {
  constexpr std::uint64_t type_mask = 0xf; // without SOCK_NONBLOCK and SOCK_CLOEXEC
  filter.rule(SCMP_ACT_ALLOW, "socket", equal(0, AF_UNIX));
  for (auto family : {AF_INET, AF_INET6}) {
    for (auto type : {SOCK_STREAM, SOCK_DGRAM})
      filter.rule(SCMP_ACT_ALLOW, "socket", equal(0, family), masked(1, type_mask, type));
    for (auto type : {SOCK_RAW, SOCK_RDM, SOCK_SEQPACKET, SOCK_DCCP, SOCK_PACKET})
      filter.rule(SCMP_ACT_ERRNO(EPERM), "socket", equal(0, family), masked(1, type_mask, type));
  }
  filter.rule(SCMP_ACT_ALLOW, "socket", equal(0, AF_NETLINK), equal(2, NETLINK_ROUTE));
  filter.rule(SCMP_ACT_ERRNO(EPROTONOSUPPORT), "socket", equal(0, AF_NETLINK),
              scmp_arg_cmp{2, SCMP_CMP_NE, NETLINK_ROUTE, 0});
  // AF_VSOCK matters most: it is not part of a network namespace and leads to the hypervisor.
  for (std::uint64_t family = AF_UNIX + 1; family < AF_NETLINK; ++family)
    if (family != AF_INET && family != AF_INET6)
      filter.rule(SCMP_ACT_ERRNO(EAFNOSUPPORT), "socket", equal(0, family));
  filter.rule(SCMP_ACT_ERRNO(EAFNOSUPPORT), "socket", scmp_arg_cmp{0, SCMP_CMP_GT, AF_NETLINK, 0});
}

/// Device nodes are refused by the user namespace too; FIFOs and plain files are made with the same calls.
void add_node_rules(rule_sink& filter, const char* name, unsigned mode_argument) {
  for (std::uint64_t type : {0, S_IFREG, S_IFIFO, S_IFSOCK})
    filter.rule(SCMP_ACT_ALLOW, name, masked(mode_argument, S_IFMT, type));
  for (std::uint64_t type : {S_IFCHR, S_IFBLK})
    filter.rule(SCMP_ACT_ERRNO(EPERM), name, masked(mode_argument, S_IFMT, type));
}

void add_conditional_rules(rule_sink& filter) {
  filter.rule(SCMP_ACT_ALLOW, "clone", masked(0, namespace_flags, 0));
  for (std::uint64_t flag = 1; flag <= namespace_flags; flag <<= 1)
    if ((flag & namespace_flags) != 0)
      filter.rule(SCMP_ACT_ERRNO(EPERM), "clone", masked(0, flag, flag));
  // clone3 is left to the default, ENOSYS: its flags lie in memory, where a filter cannot look; libc falls
  // back to clone.
  for (std::uint64_t persona :
       {0x0u, 0x8u, 0x20000u, 0x20008u, 0xffffffffu}) // Linux, 32 bit uname, and "tell me"
    filter.rule(SCMP_ACT_ALLOW, "personality", equal(0, persona));
  add_node_rules(filter, "mknod", 1);
  add_node_rules(filter, "mknodat", 2);
  add_socket_rules(filter);
}

} // namespace

void add_seccomp_rules(rule_sink& to) {
  for (auto name : allowed_calls)
    to.rule(SCMP_ACT_ALLOW, name);
  for (auto name : refused_calls)
    to.rule(SCMP_ACT_ERRNO(EPERM), name);
  add_conditional_rules(to);
}

} // namespace sandy::runtime
