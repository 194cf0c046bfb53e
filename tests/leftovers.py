"""What a server left on the machine: mounts, processes, namespaces, control groups, loop devices, directories, records."""

import ctypes
import fcntl
import os
import re
import sqlite3
from pathlib import Path

from running_server import Server, image_dir

LIBC = ctypes.CDLL(None, use_errno=True)
PIDFD_GETFD = 438  # asm-generic/unistd.h
SIOCGSKNS = 0x894C  # linux/sockios.h: a descriptor of the socket's network namespace

# The id of a sandbox, or of a container in one, as it appears in names of files and control groups.
ID = re.compile(r"(ct-)?[0-9a-f]{12,}")


def leftovers(server: Server) -> list:
    """What is there of any sandbox of this server, one line each; for a server that has ended, of the server too.
    Nothing when all sandboxes have been terminated."""
    running = server.is_running()
    found = _mounts(server) + _processes(server) + _cgroups(server, running) + _loops(server)
    found += _files(server) + _records(server)
    return found + (_held_namespaces(server) + _foreign_sockets(server) if running else _notes(server))


def _mounts(server: Server) -> list:
    # Mounts can hide in the mount namespace of any process.
    tables = {}
    for table in Path("/proc").glob("[0-9]*/mountinfo"):
        try:
            tables[os.readlink(table.parent / "ns/mnt")] = table.read_text()
        except OSError:  # the process ended meanwhile
            continue
    name = str(server.data_dir)
    return [f"mount in {space}: {line}" for space, text in tables.items() for line in text.splitlines() if name in line]


def _processes(server: Server) -> list:
    names = [str(server.data_dir)] + ([server.cgroup_parent + "/"] if server.cgroup_parent else [])
    ours = {os.getpid()} | ({server.pid} if server.is_running() else set())
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            groups = (process / "cgroup").read_text()
        except OSError:
            continue
        if int(process.name) not in ours and any(name in command or name in groups for name in names):
            found.append(f"process {process.name}: {command} {groups.split()}")
    return found


def _cgroups(server: Server, running: bool) -> list:
    if not server.cgroup_parent:
        return []
    # A running server keeps the group above its sandboxes' groups.
    pattern = server.cgroup_parent.lstrip("/") + ("/*" if running else "")
    roots = [path for path in Path("/sys/fs/cgroup").glob("*") if path.is_dir()]
    groups = [path for root in [Path("/sys/fs/cgroup"), *roots] for path in root.glob(pattern) if path.is_dir()]
    return [f"cgroup {path}" for path in groups]


def _loops(server: Server) -> list:
    found = []
    for file in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            backing = file.read_text().strip()
        except OSError:  # detached meanwhile
            continue
        if backing.startswith(str(server.data_dir) + "/"):
            found.append(f"loop device {file.parts[3]}: {backing}")
    return found


def _files(server: Server) -> list:
    # os.walk goes on where a directory vanishes meanwhile; rglob does not.
    paths = [Path(folder, name) for folder, folders, files in os.walk(server.data_dir) for name in folders + files]
    names = [path.relative_to(server.data_dir) for path in paths]
    named = [path for path in names if any(ID.fullmatch(part.split(".")[0]) for part in path.parts)]
    return [f"{'layer-file' if path.parts[0] == 'layers' else 'file'} {path}" for path in named]


def _notes(server: Server) -> list:
    """In the image store, of a server that has ended: that something of it may stand on an image."""
    notes = Path(image_dir(), ".users").glob("*")
    return [f"note {note}" for note in notes if note.is_symlink() and os.readlink(note) == str(server.data_dir)]


def _records(server: Server) -> list:
    database = server.data_dir / "sandy.db"
    if not database.exists():
        return []
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        sandboxes = [f"record {row[0]}" for row in connection.execute("SELECT id FROM sandboxes")]
        return sandboxes + [f"layer-record {row[0]}" for row in connection.execute("SELECT id FROM layers")]
    finally:
        connection.close()


def _held_namespaces(server: Server) -> list:
    # A namespace without processes lives on when a descriptor is open on it.
    found = []
    for descriptor in Path(f"/proc/{server.pid}/fd").iterdir():
        try:
            target = os.readlink(descriptor)
        except OSError:
            continue
        kind = target.partition(":")[0]
        if target.endswith("]") and kind in ("net", "mnt", "pid", "user") and target != os.readlink(f"/proc/{server.pid}/ns/{kind}"):
            found.append(f"namespace {target} held by the server")
    return found


def _foreign_sockets(server: Server) -> list:
    # So does one with a socket in it.
    its_own = os.stat(f"/proc/{server.pid}/ns/net").st_ino
    found = []
    process = os.pidfd_open(server.pid)
    try:
        for descriptor in Path(f"/proc/{server.pid}/fd").iterdir():
            try:
                if not os.readlink(descriptor).startswith("socket:"):
                    continue
            except OSError:  # closed meanwhile
                continue
            socket = LIBC.syscall(PIDFD_GETFD, process, int(descriptor.name), 0)
            if socket < 0:
                continue
            try:
                namespace = fcntl.ioctl(socket, SIOCGSKNS)
            except OSError:  # not a socket any more
                continue
            finally:
                os.close(socket)
            if os.fstat(namespace).st_ino != its_own:
                found.append(f"socket {descriptor.name} of the server in another network namespace")
            os.close(namespace)
    finally:
        os.close(process)
    return found
