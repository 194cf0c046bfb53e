#include "runtime/oci/confinement.hpp"

#include "runtime/system_failure.hpp"

#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <memory>

namespace sandy::runtime::oci {

namespace {

result<void> enter(const std::string& directory) {
  if (::unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) != 0)
    return system_failure("cannot leave the machine's namespaces");
  const char* path = directory.c_str();
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount(path, path, nullptr, MS_BIND, nullptr) != 0 ||
      ::mount(nullptr, path, nullptr, MS_REMOUNT | MS_BIND | MS_NODEV | MS_NOSUID | MS_NOEXEC, nullptr) != 0)
    return system_failure("cannot mount the working directory");
  // The old root lands on the new one and is let go (pivot_root(2), notes).
  if (::chdir(path) != 0 || ::syscall(SYS_pivot_root, ".", ".") != 0 || ::umount2(".", MNT_DETACH) != 0 ||
      ::chdir("/") != 0)
    return system_failure("cannot enter the working directory");
  return caf::unit;
}

result<void> bound_resources() {
  const rlimit no_core{0, 0}, files{64, 64};
  if (::setrlimit(RLIMIT_CORE, &no_core) != 0 || ::setrlimit(RLIMIT_NOFILE, &files) != 0)
    return system_failure("cannot bound resources");
#if !defined(__SANITIZE_ADDRESS__) && !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
  const rlimit memory{2ull << 30, 2ull << 30}; // a window of zstd takes 128 MiB
  if (::setrlimit(RLIMIT_AS, &memory) != 0)
    return system_failure("cannot bound resources");
#endif
  return caf::unit;
}

/// Owners, permissions, and what overlayfs keeps in attributes (CAP_SYS_ADMIN) need rights; nothing else
/// does.
result<void> drop_rights() {
  constexpr unsigned kept[] = {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID, CAP_SYS_ADMIN};
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct rights[_LINUX_CAPABILITY_U32S_3]{};
  for (auto each : kept)
    rights[each / 32].effective |= 1u << each % 32;
  for (auto& each : rights)
    each.permitted = each.effective;
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::syscall(SYS_capset, &header, rights) != 0)
    return system_failure("cannot give up rights");
  return caf::unit;
}

/// What CAP_SYS_ADMIN would allow besides, and what nobody who unpacks needs.
result<void> filter_calls() {
  struct released {
    void operator()(void* filter) const { ::seccomp_release(filter); }
  };
  std::unique_ptr<void, released> filter{::seccomp_init(SCMP_ACT_ALLOW)};
  bool good = filter != nullptr;
  for (int call : {SCMP_SYS(mount),         SCMP_SYS(umount2),          SCMP_SYS(pivot_root),
                   SCMP_SYS(chroot),        SCMP_SYS(move_mount),       SCMP_SYS(open_tree),
                   SCMP_SYS(fsopen),        SCMP_SYS(fsmount),          SCMP_SYS(fspick),
                   SCMP_SYS(mount_setattr), SCMP_SYS(unshare),          SCMP_SYS(setns),
                   SCMP_SYS(clone),         SCMP_SYS(clone3),           SCMP_SYS(fork),
                   SCMP_SYS(vfork),         SCMP_SYS(execve),           SCMP_SYS(execveat),
                   SCMP_SYS(ptrace),        SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev),
                   SCMP_SYS(kill),          SCMP_SYS(tgkill),           SCMP_SYS(pidfd_open),
                   SCMP_SYS(pidfd_getfd),   SCMP_SYS(socket),           SCMP_SYS(socketpair),
                   SCMP_SYS(bpf),           SCMP_SYS(perf_event_open),  SCMP_SYS(keyctl),
                   SCMP_SYS(add_key),       SCMP_SYS(request_key),      SCMP_SYS(io_uring_setup),
                   SCMP_SYS(userfaultfd),   SCMP_SYS(fanotify_init),    SCMP_SYS(open_by_handle_at),
                   SCMP_SYS(quotactl),      SCMP_SYS(quotactl_fd),      SCMP_SYS(swapon),
                   SCMP_SYS(swapoff),       SCMP_SYS(sethostname),      SCMP_SYS(setdomainname),
                   SCMP_SYS(kexec_load),    SCMP_SYS(kexec_file_load),  SCMP_SYS(init_module),
                   SCMP_SYS(finit_module),  SCMP_SYS(delete_module),    SCMP_SYS(syslog),
                   SCMP_SYS(reboot),        SCMP_SYS(lookup_dcookie)})
    good = good && ::seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(EPERM), call, 0) == 0;
  if (!good || ::seccomp_load(filter.get()) != 0)
    return system_failure("cannot filter system calls");
  return caf::unit;
}

} // namespace

result<void> confine(const std::string& directory) {
  for (auto step : {+[](const std::string& where) { return enter(where); },
                    +[](const std::string&) { return bound_resources(); },
                    +[](const std::string&) { return drop_rights(); },
                    +[](const std::string&) { return filter_calls(); }})
    if (auto done = step(directory); !done)
      return done;
  return caf::unit;
}

} // namespace sandy::runtime::oci
