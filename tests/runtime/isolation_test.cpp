#include "tests/runtime/inside.hpp"
#include "tests/runtime/machine.hpp"

#include "runtime/files.hpp"

#include <catch2/catch.hpp>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <map>
#include <sstream>

using namespace sandy;
using namespace sandy::runtime;
using namespace sandy::test;

namespace {

struct attempt {
  const char* name;
  std::vector<std::string> harmless; ///< outcomes that mean refused or contained
};

// The probes of probes.py, all of them: the test fails for one that is only here or only there.
const std::vector<attempt> attempts = {
    // Mounts and namespaces.
    {"mount_tmpfs", {"EPERM"}},
    {"bind_mount", {"EPERM"}},
    {"remount_proc_sys_writable", {"EPERM"}},
    {"unmount_mask", {"EPERM"}},
    {"new_mount_api", {"EPERM"}},
    {"clone_mount_tree", {"EPERM"}},
    {"move_mount", {"EPERM"}},
    {"mount_setattr", {"EPERM"}},
    {"pivot_root", {"EPERM"}},
    {"unshare_user", {"EPERM"}},
    {"unshare_mount", {"EPERM"}},
    {"unshare_network", {"EPERM"}},
    {"clone_new_user", {"EPERM"}},
    {"clone3", {"ENOSYS"}},
    {"enter_namespace_of_init", {"EACCES", "EPERM"}},
    {"enter_own_namespace", {"EPERM"}},
    {"chroot", {"EPERM"}},
    {"walk_up_from_root", {"inside"}},
    // Process 1 and other processes.
    {"trace_init", {"EPERM"}},
    {"trace_child", {"EPERM"}},
    {"read_memory_of_init", {"EACCES", "EPERM"}},
    {"process_vm_readv", {"EPERM"}},
    {"take_descriptor_of_init", {"EPERM"}},
    {"read_environment_of_init", {"EACCES", "EPERM"}},
    {"read_descriptor_of_init", {"EACCES", "EPERM"}},
    {"reopen_guest_program", {"EACCES", "EPERM"}},
    {"write_program_of_init", {"EACCES", "EPERM"}},
    {"root_of_init", {"EACCES", "EPERM"}},
    {"kill_init", {"alive"}},
    {"see_host_processes", {"few"}},
    {"inherited_descriptors", {"none"}},
    {"protect_from_oom_killer", {"EACCES", "EPERM"}},
    // Kernel settings.
    {"write_core_pattern", {"EROFS", "EACCES"}},
    {"write_drop_caches", {"EROFS", "EACCES"}},
    {"write_ip_forward", {"EROFS", "EACCES"}},
    {"write_modprobe_path", {"EROFS", "EACCES", "ENOENT"}},
    {"write_sysrq_trigger", {"EROFS", "EACCES", "ENOENT"}},
    {"write_irq_affinity", {"EROFS", "EACCES", "ENOENT"}},
    {"write_uevent_helper", {"EROFS", "EACCES", "ENOENT"}},
    {"write_power_state", {"EROFS", "EACCES", "ENOENT"}},
    {"write_block_settings", {"EROFS", "EACCES", "ENOENT"}},
    {"write_memory_limit", {"EROFS", "EACCES", "ENOENT"}}, // ENOENT: control groups of v2 have other names
    {"write_cpu_quota", {"EROFS", "EACCES", "ENOENT"}},
    {"leave_cgroup", {"EROFS", "EACCES", "ENOENT"}},
    {"write_release_agent", {"EROFS", "EACCES", "ENOENT"}},
    {"make_cgroup", {"EROFS", "EACCES", "ENOENT"}},
    {"fill_cgroup_directory", {"EROFS", "EACCES"}},
    {"set_hostname", {"EPERM"}},
    {"read_kcore", {"ENOENT", "EACCES", "EPERM", "empty"}},
    {"read_kmsg", {"ENOENT", "EACCES", "EPERM", "empty"}},
    {"read_dev_kmsg", {"ENOENT"}},
    {"read_kallsyms", {"empty"}},
    {"read_keys", {"ENOENT", "empty"}},
    {"read_timer_list", {"ENOENT", "empty"}},
    {"read_interrupts", {"empty"}},
    {"read_kernel_config", {"ENOENT", "empty"}},
    {"read_kernel_command_line", {"empty"}},
    {"read_acpi_tables", {"ENOENT"}},
    {"read_sched_debug", {"ENOENT", "empty"}},
    // System calls that reach the kernel's own.
    {"bpf", {"EPERM"}},
    {"perf_event_open", {"EPERM"}},
    {"keyctl", {"EPERM"}},
    {"add_key", {"EPERM"}},
    {"request_key", {"EPERM"}},
    {"userfaultfd", {"EPERM"}},
    {"io_uring_setup", {"EPERM"}},
    {"fanotify_init", {"EPERM"}},
    {"kcmp", {"EPERM"}},
    {"memfd_secret", {"EPERM"}},
    {"init_module", {"EPERM"}},
    {"finit_module", {"EPERM"}},
    {"delete_module", {"EPERM"}},
    {"kexec_load", {"EPERM"}},
    {"kexec_file_load", {"EPERM"}},
    {"reboot", {"EPERM"}},
    {"clock_settime", {"EPERM"}},
    {"settimeofday", {"EPERM"}},
    {"adjtimex", {"EPERM"}},
    {"read_kernel_log", {"EPERM"}},
    {"open_by_handle", {"EPERM"}},
    {"name_to_handle", {"EPERM"}},
    {"swapon", {"EPERM"}},
    {"quotactl", {"EPERM"}},
    {"acct", {"EPERM"}},
    {"iopl", {"EPERM"}},
    {"ioperm", {"EPERM"}},
    {"modify_ldt", {"EPERM"}},
    {"vmsplice", {"EPERM"}},
    {"unknown_call_number", {"ENOSYS"}},
    {"real_time_priority", {"EPERM"}},
    {"raise_priority", {"EACCES", "EPERM"}},
    {"raise_open_files", {"EPERM"}},
    {"lock_all_memory", {"EPERM"}},
    {"call_32_bit_interface",
     {"killed 31", "killed 11"}}, // SIGSYS, or SIGSEGV where the kernel has no such interface
    {"call_x32_interface", {"killed 31"}},
    // Sockets and networks.
    {"raw_socket", {"EPERM"}},
    {"raw_socket_v6", {"EPERM"}},
    {"raw_socket_with_high_bits", {"EPERM", "EAFNOSUPPORT"}},
    {"packet_socket", {"EAFNOSUPPORT"}},
    {"vsock_socket", {"EAFNOSUPPORT"}},
    {"crypto_socket", {"EAFNOSUPPORT"}},
    {"netfilter_socket", {"EPROTONOSUPPORT"}},
    {"audit_socket", {"EPROTONOSUPPORT"}},
    {"key_socket", {"EAFNOSUPPORT"}},
    {"xdp_socket", {"EAFNOSUPPORT"}},
    {"tipc_socket", {"EAFNOSUPPORT"}},
    {"bluetooth_socket", {"EAFNOSUPPORT"}},
    {"unknown_family_socket", {"EAFNOSUPPORT"}},
    {"metadata_service", {"ENETUNREACH"}},
    {"docker_bridge", {"ENETUNREACH"}},
    {"internet", {"ENETUNREACH"}},
    {"internet_v6", {"ENETUNREACH"}},
    {"name_server", {"ENETUNREACH"}},
    {"host_loopback", {"ECONNREFUSED"}},
    {"host_abstract_socket", {"ECONNREFUSED"}},
    {"own_guest_by_path", {"hidden"}},
    {"add_network_interface", {"EPERM", "ENOENT", "exit 1", "exit 2"}}, // ENOENT: the image has no ip
    {"interfaces", {"lo"}},
    // Devices and terminals.
    {"mknod_disk", {"EPERM"}},
    {"mknod_loop", {"EPERM"}},
    {"mknod_memory", {"EPERM"}},
    {"mknod_kmsg", {"EPERM"}},
    {"mknod_fuse", {"EPERM"}},
    {"mknod_tun", {"EPERM"}},
    {"mknod_null", {"EPERM"}},
    {"dangerous_devices", {"none"}},
    {"type_into_terminal", {"EPERM"}},
    {"type_into_terminal_with_high_bits", {"EPERM"}},
    {"set_console_state", {"EPERM"}},
    // Privileges.
    {"setuid_program", {"uid 1000"}},
    {"file_capabilities", {"harmless", "EPERM"}},
    {"capabilities_of_root", {"4fb 4fb 1 2"}}, // the eight, no new privileges, filtered
    {"gain_capability", {"EPERM"}},
    {"host_paths_in_mounts", {"none"}},
    {"id_map", {"mapped"}},
    {"trusted_attribute", {"EPERM"}},
};

/// Something on the host that must not be reachable: a listener on loopback and one with an abstract name.
class host_listeners {
public:
  host_listeners()
      : tcp_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))
      , unix_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(tcp_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(tcp_.get(), 8) == 0);
    REQUIRE(::getsockname(tcp_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port = ntohs(address.sin_port);
    sockaddr_un hidden{};
    hidden.sun_family = AF_UNIX;
    name.copy(hidden.sun_path + 1, name.size()); // the leading zero makes it abstract
    auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    REQUIRE(::bind(unix_.get(), reinterpret_cast<sockaddr*>(&hidden), length) == 0);
    REQUIRE(::listen(unix_.get(), 8) == 0);
  }

  int port = 0;
  std::string name = "sandy-test-" + std::to_string(::getpid());

private:
  unique_fd tcp_, unix_;
};

} // namespace

TEST_CASE("every attempt to leave a sandbox is refused or contained", "[privileged]") {
  machine host;
  host_listeners listeners;
  auto spec = host.spec();
  auto sandbox = host.create(spec);
  auto neighbour_spec = host.spec();
  auto neighbour = host.create(neighbour_spec);

  auto probes = read_small_file(SANDY_PROBES_PATH, 1 << 20);
  REQUIRE(probes);
  auto ran = run_inside(sandbox, "cat > /root/probes.py <<'END_OF_PROBES'\n" + *probes + "\nEND_OF_PROBES\n" +
                                     "export HOST_PORT=" + std::to_string(listeners.port) +
                                     " HOST_ABSTRACT_NAME=" + listeners.name + " HOST_DATA_DIR=" +
                                     host.options().data_dir + "\npython3 /root/probes.py");
  INFO(ran.failure << ran.errors);
  REQUIRE(ran.failure == "");
  REQUIRE(ran.exit_code == 0);

  std::map<std::string, std::string> outcomes;
  std::istringstream lines{ran.output};
  for (std::string line; std::getline(lines, line);) {
    auto tab = line.find('\t');
    REQUIRE(tab != std::string::npos);
    outcomes[line.substr(0, tab)] = line.substr(tab + 1);
  }
  for (const auto& [name, harmless] : attempts) {
    INFO(name);
    REQUIRE(outcomes.contains(name));
    CHECK_THAT(harmless, Catch::Matchers::VectorContains(outcomes[name]));
    outcomes.erase(name);
  }
  CHECK(outcomes == std::map<std::string, std::string>{}); // a probe nobody judges

  // Neither sandbox nor the host was hurt.
  CHECK(run_inside(sandbox, "echo alive").output == "alive\n");
  CHECK(run_inside(neighbour, "echo alive").output == "alive\n");
}

TEST_CASE("the root of a sandbox can do what package managers need", "[privileged]") {
  machine host;
  auto spec = host.spec();
  auto sandbox = host.create(spec);
  for (auto script :
       {"touch /etc/new && chown 33:33 /etc/new && [ \"$(stat -c %u:%g /etc/new)\" = 33:33 ]",
        "mkfifo /tmp/fifo && [ -p /tmp/fifo ]",
        "python3 -c 'import os; os.setgid(65534); os.setuid(65534); print(os.getuid())'",
        "python3 -c 'import socket; socket.create_server((\"127.0.0.1\", 80))'",
        "python3 -c 'import threading; t=threading.Thread(target=print); t.start(); t.join()'",
        "useradd -m somebody && su -s /bin/sh somebody -c true || getent passwd somebody",
        "rm -r /usr/share/doc /usr/games && [ ! -e /usr/games ]",
        "[ \"$(hostname)\" = sandbox ] && getent hosts localhost && ! getent hosts example.com",
        "cd /workspace && echo x > file && mv file other && ln -s other link && cat link",
        "echo x > /tmp/a && echo x > /dev/shm/b && echo x > /dev/null && head -c 4 /dev/urandom"}) {
    INFO(script);
    auto ran = run_inside(sandbox, script);
    INFO(ran.failure << ran.output << ran.errors);
    CHECK(ran.exit_code == 0);
  }
}

TEST_CASE("namespaces of a sandbox are all its own", "[privileged]") {
  machine host;
  auto first_spec = host.spec(), second_spec = host.spec();
  auto first = host.create(first_spec), second = host.create(second_spec);
  for (auto kind : {"user", "pid", "mnt", "net", "ipc", "uts", "cgroup"}) {
    INFO(kind);
    auto own = namespace_of(first.init_pid, kind);
    CHECK(own != "");
    CHECK(own != namespace_of(::getpid(), kind));
    CHECK(own != namespace_of(second.init_pid, kind));
  }
  auto network = namespace_of(first.init_pid, "net");
  REQUIRE(host.driver().destroy(first_spec.id));
  CHECK(processes_in_namespace("net", network).empty());
}
