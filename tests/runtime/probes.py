"""Attempts to get out of a sandbox or to abuse the machine from within one, run as its root.

Prints a line per attempt: its name, a tab, and what happened: "done" when it succeeded, the name of the errno, "killed N",
or a word the probe returned. The test that runs this file knows which outcomes are harmless."""

import ctypes
import errno
import fcntl
import os
import resource
import signal
import socket
import struct
import subprocess
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
PROBES = []


def probe(function):
    PROBES.append(function)
    return function


def call(number, *arguments):
    """A system call by its x86-64 number. Raises OSError."""
    ctypes.set_errno(0)
    plain = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    outcome = LIBC.syscall(ctypes.c_long(number), *plain)
    if outcome < 0:
        raise OSError(ctypes.get_errno(), "")
    return outcome


def write(path, text):
    file = os.open(path, os.O_WRONLY)
    try:
        os.write(file, text.encode())
    finally:
        os.close(file)


def visible(path):
    with open(path, "rb") as file:
        return "readable" if file.read(64) else "empty"


def connect(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as attempt:
        attempt.settimeout(2)
        attempt.connect(address)


# --- mounts and namespaces -------------------------------------------------------------------------------------------

@probe
def mount_tmpfs():
    os.makedirs("/tmp/m", exist_ok=True)
    call(165, b"tmpfs", b"/tmp/m", b"tmpfs", 0, 0)


@probe
def bind_mount():
    call(165, b"/etc", b"/mnt", b"", 4096, 0)


@probe
def remount_proc_sys_writable():
    call(165, b"none", b"/proc/sys", b"", 32 | 4096, 0)


@probe
def unmount_mask():
    call(166, b"/proc/kallsyms", 2)


@probe
def new_mount_api():
    call(430, b"tmpfs", 0)


@probe
def clone_mount_tree():
    call(428, -100, b"/", 1)


@probe
def move_mount():
    call(429, -100, b"/proc", -100, b"/mnt", 0)


@probe
def mount_setattr():
    call(442, -100, b"/proc/sys", 0, ctypes.create_string_buffer(32), 32)


@probe
def pivot_root():
    call(155, b"/", b"/")


@probe
def unshare_user():
    call(272, 0x10000000)


@probe
def unshare_mount():
    call(272, 0x00020000)


@probe
def unshare_network():
    call(272, 0x40000000)


@probe
def clone_new_user():
    if call(56, 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0) == 0:
        os._exit(0)


@probe
def clone3():
    call(435, ctypes.create_string_buffer(88), 88)


@probe
def enter_namespace_of_init():
    call(308, os.open("/proc/1/ns/mnt", os.O_RDONLY), 0)


@probe
def enter_own_namespace():
    call(308, os.open("/proc/self/ns/user", os.O_RDONLY), 0)


@probe
def chroot():
    call(161, b"/tmp")


@probe
def walk_up_from_root():
    os.chdir("/")
    for _ in range(40):
        os.chdir("..")
    return "inside" if os.stat(".").st_ino == os.stat("/").st_ino else "outside"


# --- process 1 and other processes -----------------------------------------------------------------------------------

@probe
def trace_init():
    call(101, 16, 1, 0, 0)


@probe
def trace_child():
    child = os.fork()
    if child == 0:
        signal.pause()
    try:
        call(101, 16, child, 0, 0)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@probe
def read_memory_of_init():
    os.open("/proc/1/mem", os.O_RDONLY)


@probe
def process_vm_readv():
    call(310, 1, 0, 0, 0, 0, 0)


@probe
def take_descriptor_of_init():
    call(438, os.pidfd_open(1), 3, 0)


@probe
def read_environment_of_init():
    visible("/proc/1/environ")


@probe
def read_descriptor_of_init():
    os.readlink("/proc/1/fd/3")


@probe
def reopen_guest_program():
    os.open("/proc/1/fd/4", os.O_RDWR)


@probe
def write_program_of_init():
    os.open("/proc/1/exe", os.O_WRONLY)


@probe
def root_of_init():
    os.listdir("/proc/1/root/")


@probe
def kill_init():
    for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        os.kill(1, number)
    with open("/proc/1/stat") as file:
        return "alive" if file.read().rpartition(")")[2].split()[0] in "SR" else "hurt"


@probe
def see_host_processes():
    return "few" if len([p for p in os.listdir("/proc") if p.isdigit()]) < 10 else "many"


@probe
def inherited_descriptors():
    own = {fd: os.readlink("/proc/self/fd/" + fd) for fd in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + fd)}
    strange = [t for fd, t in own.items() if not t.startswith(("pipe:", "/dev/null")) and t != __file__]
    return "none" if not strange else ",".join(strange)


@probe
def protect_from_oom_killer():
    write("/proc/self/oom_score_adj", "-1000")


# --- kernel settings -------------------------------------------------------------------------------------------------

def writable(name, path, text="1"):
    def attempt():
        write(path, text)

    attempt.__name__ = name
    probe(attempt)


writable("write_core_pattern", "/proc/sys/kernel/core_pattern", "|/tmp/x")
writable("write_drop_caches", "/proc/sys/vm/drop_caches")
writable("write_ip_forward", "/proc/sys/net/ipv4/ip_forward")
writable("write_modprobe_path", "/proc/sys/kernel/modprobe", "/tmp/x")
writable("write_sysrq_trigger", "/proc/sysrq-trigger", "b")
writable("write_irq_affinity", "/proc/irq/default_smp_affinity")
writable("write_uevent_helper", "/sys/kernel/uevent_helper", "/tmp/x")
writable("write_power_state", "/sys/power/state", "mem")
writable("write_block_settings", "/sys/block/vda/queue/nr_requests", "128")
writable("write_memory_limit", "/sys/fs/cgroup/memory/memory.limit_in_bytes", "-1")
writable("write_cpu_quota", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1")
writable("leave_cgroup", "/sys/fs/cgroup/memory/cgroup.procs", "0")
writable("write_release_agent", "/sys/fs/cgroup/memory/release_agent", "/tmp/x")


@probe
def make_cgroup():
    os.mkdir("/sys/fs/cgroup/memory/mine")


@probe
def fill_cgroup_directory():
    os.mkdir("/sys/fs/cgroup/mine")


@probe
def set_hostname():
    call(170, b"x", 1)


def readable(name, path):
    def attempt():
        return visible(path)

    attempt.__name__ = name
    probe(attempt)


readable("read_kcore", "/proc/kcore")
readable("read_kmsg", "/proc/kmsg")
readable("read_dev_kmsg", "/dev/kmsg")
readable("read_kallsyms", "/proc/kallsyms")
readable("read_keys", "/proc/keys")
readable("read_timer_list", "/proc/timer_list")
readable("read_interrupts", "/proc/interrupts")
readable("read_kernel_config", "/proc/config.gz")
readable("read_kernel_command_line", "/proc/cmdline")
readable("read_acpi_tables", "/sys/firmware/acpi/tables/DSDT")
readable("read_sched_debug", "/proc/sched_debug")


# --- system calls that reach the kernel's own ------------------------------------------------------------------------

def refused(name, number, *arguments):
    def attempt():
        call(number, *arguments)

    attempt.__name__ = name
    probe(attempt)


BUFFER = ctypes.create_string_buffer(256)
refused("bpf", 321, 0, BUFFER, 64)
refused("perf_event_open", 298, BUFFER, 0, -1, -1, 0)
refused("keyctl", 250, 0, -3, 0)
refused("add_key", 248, b"user", b"k", b"v", 1, -2)
refused("request_key", 249, b"user", b"k", 0, 0)
refused("userfaultfd", 323, 1)
refused("io_uring_setup", 425, 4, BUFFER)
refused("fanotify_init", 300, 0, 0)
refused("kcmp", 312, 1, 1, 0, 0, 0)
refused("memfd_secret", 447, 0)
refused("init_module", 175, BUFFER, 0, b"")
refused("finit_module", 313, -1, b"", 0)
refused("delete_module", 176, b"x", 0)
refused("kexec_load", 246, 0, 0, 0, 0)
refused("kexec_file_load", 320, -1, -1, 0, 0, 0)
refused("reboot", 169, 0xFEE1DEAD, 672274793, 0, 0)
refused("clock_settime", 227, 0, BUFFER)
refused("settimeofday", 164, BUFFER, 0)
refused("adjtimex", 159, BUFFER)
refused("read_kernel_log", 103, 3, BUFFER, 64)
refused("open_by_handle", 304, -100, BUFFER, 0)
refused("name_to_handle", 303, -100, b"/", BUFFER, BUFFER, 0)
refused("swapon", 167, b"/tmp/x", 0)
refused("quotactl", 179, 0, 0, 0, 0)
refused("acct", 163, b"/tmp/x")
refused("iopl", 172, 3)
refused("ioperm", 173, 0, 1, 1)
refused("modify_ldt", 154, 0, BUFFER, 8)
refused("vmsplice", 278, 0, 0, 0, 0)
refused("unknown_call_number", 5000)


@probe
def real_time_priority():
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))


@probe
def raise_priority():
    os.setpriority(os.PRIO_PROCESS, 0, -20)


@probe
def raise_open_files():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard + 1))


@probe
def lock_all_memory():
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (1 << 40, 1 << 40))


@probe
def call_32_bit_interface():
    # mov eax, 20 (getpid); int 0x80; ret
    return run_machine_code(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")


@probe
def call_x32_interface():
    # mov eax, 0x40000027 (x32 getpid); syscall; ret
    return run_machine_code(b"\xb8\x27\x00\x00\x40\x0f\x05\xc3")


def run_machine_code(code):
    import mmap

    child = os.fork()
    if child == 0:
        area = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        area.write(code)
        ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(area)))()
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    return "killed %d" % os.WTERMSIG(status) if os.WIFSIGNALED(status) else "done"


# --- sockets and networks --------------------------------------------------------------------------------------------

def socket_of(name, *arguments):
    def attempt():
        call(41, *arguments)

    attempt.__name__ = name
    probe(attempt)


socket_of("raw_socket", socket.AF_INET, socket.SOCK_RAW, 1)
socket_of("raw_socket_v6", socket.AF_INET6, socket.SOCK_RAW, 58)
socket_of("raw_socket_with_high_bits", socket.AF_INET | 1 << 32, socket.SOCK_RAW, 1)
socket_of("packet_socket", 17, socket.SOCK_RAW, 0)
socket_of("vsock_socket", 40, socket.SOCK_STREAM, 0)
socket_of("crypto_socket", 38, socket.SOCK_SEQPACKET, 0)
socket_of("netfilter_socket", 16, socket.SOCK_RAW, 12)
socket_of("audit_socket", 16, socket.SOCK_RAW, 9)
socket_of("key_socket", 15, socket.SOCK_RAW, 2)
socket_of("xdp_socket", 44, socket.SOCK_RAW, 0)
socket_of("tipc_socket", 30, socket.SOCK_STREAM, 0)
socket_of("bluetooth_socket", 31, socket.SOCK_RAW, 0)
socket_of("unknown_family_socket", 99, socket.SOCK_STREAM, 0)


@probe
def metadata_service():
    connect(socket.AF_INET, ("169.254.169.254", 80))


@probe
def docker_bridge():
    connect(socket.AF_INET, ("172.17.0.1", 22))


@probe
def internet():
    connect(socket.AF_INET, ("93.184.216.34", 443))


@probe
def internet_v6():
    connect(socket.AF_INET6, ("2606:2800:220:1:248:1893:25c8:1946", 443))


@probe
def name_server():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as attempt:
        attempt.sendto(b"x", ("8.8.8.8", 53))


@probe
def host_loopback():
    connect(socket.AF_INET, ("127.0.0.1", int(os.environ["HOST_PORT"])))


@probe
def host_abstract_socket():
    connect(socket.AF_UNIX, "\0" + os.environ["HOST_ABSTRACT_NAME"])


@probe
def own_guest_by_path():
    with open("/proc/net/unix") as file:
        return "hidden" if "/sock" not in file.read() else "shown"


@probe
def add_network_interface():
    subprocess.run(["ip", "link", "add", "d0", "type", "dummy"], check=True, capture_output=True)


@probe
def interfaces():
    return ",".join(sorted(name for _, name in socket.if_nameindex()))


# --- devices and terminals -------------------------------------------------------------------------------------------

def node(name, kind, major, minor):
    def attempt():
        os.mknod("/root/" + name, kind | 0o666, os.makedev(major, minor))

    attempt.__name__ = name
    probe(attempt)


node("mknod_disk", 0o060000, 254, 0)
node("mknod_loop", 0o060000, 7, 0)
node("mknod_memory", 0o020000, 1, 1)
node("mknod_kmsg", 0o020000, 1, 11)
node("mknod_fuse", 0o020000, 10, 229)
node("mknod_tun", 0o020000, 10, 200)
node("mknod_null", 0o020000, 1, 3)


@probe
def dangerous_devices():
    names = ("vda", "mem", "kmsg", "kvm", "fuse", "loop-control", "loop0", "vsock", "net/tun", "port", "vhost-net")
    return ",".join(name for name in names if os.path.exists("/dev/" + name)) or "none"


@probe
def type_into_terminal():
    _, terminal = os.openpty()
    fcntl.ioctl(terminal, 0x5412, b"x")


@probe
def type_into_terminal_with_high_bits():
    _, terminal = os.openpty()
    call(16, terminal, 0x5412 | 1 << 32, b"x")


@probe
def set_console_state():
    fcntl.ioctl(0, 0x541C, b"\x02")


# --- privileges ------------------------------------------------------------------------------------------------------

@probe
def setuid_program():
    # A copy of id with the bit set, run by somebody else: stays somebody else.
    path = "/workspace/id"
    subprocess.run("cp /usr/bin/id %s && chmod 4755 %s && chmod 755 /workspace" % (path, path), shell=True, check=True)
    ran = subprocess.run([path, "-u"], capture_output=True, text=True, user=1000)
    return "uid " + ran.stdout.strip()


@probe
def file_capabilities():
    os.setxattr("/workspace/id", "security.capability", struct.pack("<IIIII", 0x02000001, 1 << 21, 0, 0, 0))
    ran = subprocess.run(["/bin/sh", "-c", "exec /workspace/id"], capture_output=True, user=1000)
    return "harmless" if ran.returncode == 0 and b"uid=1000" in ran.stdout else "exit %d" % ran.returncode


@probe
def capabilities_of_root():
    with open("/proc/self/status") as file:
        lines = dict(line.split(":\t") for line in file.read().splitlines() if ":\t" in line)
    return " ".join(lines[key].strip().lstrip("0") for key in ("CapEff", "CapBnd", "NoNewPrivs", "Seccomp"))


@probe
def gain_capability():
    # capset: ask for everything that exists.
    header = ctypes.create_string_buffer(struct.pack("<Ii", 0x20080522, 0))
    wanted = ctypes.create_string_buffer(struct.pack("<6I", 0xFFFFFFFF, 0xFFFFFFFF, 0, 0x1FF, 0x1FF, 0))
    call(126, header, wanted)


@probe
def host_paths_in_mounts():
    with open("/proc/self/mountinfo") as file:
        text = file.read()
    return "none" if os.environ["HOST_DATA_DIR"] not in text and "sandboxes" not in text else "shown"


@probe
def id_map():
    with open("/proc/self/uid_map") as file:
        inside, outside, count = file.read().split()
    return "mapped" if inside == "0" and int(outside) >= 65536 and count == "65536" else "open"


@probe
def trusted_attribute():
    os.setxattr("/workspace", "trusted.overlay.opaque", b"y")


def run(function):
    try:
        return function() or "done"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
    except ValueError as error:  # how setrlimit words EPERM
        return "EPERM" if "not allowed" in str(error) else str(error)
    except subprocess.CalledProcessError as error:
        return "exit %d" % error.returncode


def isolated(function):
    """Runs a probe in a process of its own: some end it, some change it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.write(writing, run(function).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    status = os.waitpid(child, 0)[1]
    return text or "killed %d" % (status & 127)


if __name__ == "__main__":
    for attempt_at in PROBES:
        sys.stdout.write("%s\t%s\n" % (attempt_at.__name__, isolated(attempt_at)))
        sys.stdout.flush()
