"""Sandy as the benchmarks drive it: a real server of their own, through its HTTP API."""

import secrets
import sys
import tempfile
from pathlib import Path

from http1 import Connection
from leftovers import leftovers
from running_server import Server


class SandyServer:
    """A sandyd with a data directory, port, key and control groups of its own; used as a context."""

    name = "Sandy"

    def __init__(self, *arguments):
        self._arguments = arguments

    def __enter__(self):
        # Not below a long path: a sandbox's socket must have a name the kernel takes.
        self._directory = tempfile.TemporaryDirectory(prefix="sandy-bench-", dir="/var/tmp")
        self.server = Server(Path(self._directory.name) / "data", self._arguments,
                             cgroup_parent="/sandy-bench-" + secrets.token_hex(4)).start()
        return self

    def __exit__(self, *_):
        self.server.terminate_all()
        self.server.stop()
        if left := leftovers(self.server):
            print("left behind:", *left, sep="\n  ", file=sys.stderr)
        self._directory.cleanup()

    @property
    def pid(self):
        return self.server.pid

    @property
    def url(self):
        return self.server.base_url

    def connect(self):
        port = int(self.server.base_url.rpartition(":")[2])
        return Connection(("127.0.0.1", port), f"Authorization: Bearer {self.server.api_key}\r\n")

    def create(self, link):
        return link.call("POST", "/api/sandboxes", {})["sandboxId"]

    def run_true(self, link, box):
        exit_code = link.call("POST", f"/api/sandboxes/{box}/exec", {"command": "true"})["exitCode"]
        assert exit_code == 0, exit_code

    def remove(self, link, box):
        link.call("POST", f"/api/sandboxes/{box}/terminate")

    def guest_socket(self, box):
        """Where the guest of one sandbox listens, on the host."""
        return str(self.server.data_dir / "sandboxes" / box / "sock")

    def sandbox_processes(self):
        """Pids of all that runs in sandboxes, seen from the host, with control groups of v1 or v2."""
        trees = [Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")]
        parents = [path for tree in trees if (path := tree / self.server.cgroup_parent.lstrip("/")).is_dir()]
        return [pid for group in parents[0].glob("*/cgroup.procs") for pid in group.read_text().split()]
