"""Docker's engine, as the benchmarks drive it: a daemon of their own, through its HTTP API, with the image Sandy uses."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from http1 import Connection
from running_server import TOP

API = "/v1.41"
START_SECONDS = 60
# What dockerd makes outside the directories it is given, wherever they are.
ITS_TRACES = [Path("/etc/docker/key.json"), Path("/etc/docker"), Path("/run/docker/plugins"), Path("/run/docker")]


class DockerEngine:
    """A dockerd (with its containerd) that shares nothing with one that may already run; used as a context."""

    name = "Docker"

    def __enter__(self):
        self._foreign = {path for path in ITS_TRACES if path.exists()}
        self._directory = Path(tempfile.mkdtemp(prefix="sandy-bench-docker-", dir="/var/tmp"))
        self._cgroup = "/sandy-bench-docker-" + secrets.token_hex(4)
        self._socket = str(self._directory / "api.sock")
        self._log = (self._directory / "log").open("w")
        # No bridge, no firewall rules, no forwarding: the containers have loopback alone, as Sandy's sandboxes do.
        self._process = subprocess.Popen(
            ["/usr/sbin/dockerd", "--data-root", self._directory / "data", "--exec-root", self._directory / "exec",
             "--pidfile", self._directory / "pid", "--host", "unix://" + self._socket, "--bridge=none",
             "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false",
             "--cgroup-parent", self._cgroup],
            stdout=self._log, stderr=self._log)
        try:
            self._await_start()
            self._import_image()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _await_start(self):
        for _ in range(START_SECONDS * 10):
            if self._process.poll() is not None:
                break
            try:
                with self.connect() as link:
                    self.version = link.call("GET", API + "/version")["Version"]
                return
            except OSError:
                time.sleep(0.1)
        text = (self._directory / "log").read_text()
        raise RuntimeError(f"dockerd did not start; its log ends with:\n{text[-2000:]}")

    def _import_image(self):
        tar = subprocess.Popen([TOP / "script" / "image", "--archive", "basic"], stdout=subprocess.PIPE)
        with self.connect() as link:
            link.upload(f"{API}/images/create?fromSrc=-&repo=basic", iter(lambda: tar.stdout.read(1 << 20), b""))
        if tar.wait() != 0:
            raise RuntimeError("tar could not read the image")

    def __exit__(self, *_):
        if self._process.poll() is None:
            with self.connect() as link:
                for container in link.call("GET", API + "/containers/json?all=1"):
                    self.remove(link, container["Id"])
            self._process.send_signal(signal.SIGTERM)  # ends its containerd too
            self._process.wait(60)
        self._log.close()
        shutil.rmtree(self._directory)
        for tree in Path("/sys/fs/cgroup").glob("*" + self._cgroup):
            os.rmdir(tree)
        for path in ITS_TRACES:
            if path.exists() and path not in self._foreign:
                path.rmdir() if path.is_dir() else path.unlink()

    def connect(self):
        return Connection(self._socket)

    def create(self, link):
        """A container that runs, with the limits a sandbox has by default."""
        container = link.call("POST", API + "/containers/create", {
            "Image": "basic", "Cmd": ["sleep", "infinity"], "WorkingDir": "/root",
            "HostConfig": {"NetworkMode": "none", "Memory": 1 << 30, "NanoCpus": 10**9, "PidsLimit": 512},
        })["Id"]
        link.call("POST", f"{API}/containers/{container}/start")
        return container

    def run_true(self, link, box):
        """The program itself, without the shell that Sandy starts for it."""
        what = link.call("POST", f"{API}/containers/{box}/exec",
                         {"Cmd": ["true"], "AttachStdout": True, "AttachStderr": True})["Id"]
        # The answer to start is the output; it ends with the connection.
        with self.connect() as stream:
            stream.call("POST", f"{API}/exec/{what}/start", {"Detach": False, "Tty": False})
        ended = link.call("GET", f"{API}/exec/{what}/json")
        assert ended["ExitCode"] == 0 and not ended["Running"], ended

    def remove(self, link, box):
        link.call("DELETE", f"{API}/containers/{box}?force=1")
