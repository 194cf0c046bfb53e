"""A Docker engine of one's own: shares nothing with one that may already run on the machine."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

START_SECONDS = 60
# What dockerd makes outside the directories it is given, wherever they are; deepest first.
ITS_TRACES = [Path("/etc/docker/key.json"), Path("/etc/docker"), Path("/run/docker/plugins"), Path("/run/docker")]


class Engine:
    """A dockerd with its containerd; used as a context, at whose end nothing of it may be left."""

    def __init__(self, *arguments):
        self._arguments = arguments

    def __enter__(self):
        self._foreign = {path for path in ITS_TRACES if path.exists()}
        # Not in /tmp: overlayfs does not stack on every file system that may be there.
        self.directory = Path(tempfile.mkdtemp(prefix="sandy-docker-", dir="/var/tmp"))
        self._cgroup = "/sandy-docker-" + secrets.token_hex(4)
        self.socket = str(self.directory / "api.sock")
        (self.directory / "config.json").write_text("{}")
        self._log = (self.directory / "log").open("w")
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self) -> None:
        # No bridge, no firewall rules, no forwarding: the containers have loopback alone, as Sandy's sandboxes do.
        self._process = subprocess.Popen(
            ["/usr/sbin/dockerd", "--config-file", self.directory / "config.json", "--data-root", self.directory / "data",
             "--exec-root", self.directory / "exec", "--pidfile", self.directory / "pid", "--host", "unix://" + self.socket,
             "--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false",
             "--cgroup-parent", self._cgroup, *self._arguments],
            stdout=self._log, stderr=self._log)
        for _ in range(START_SECONDS * 10):
            if self._process.poll() is not None:
                break
            if self._answers():
                return
            time.sleep(0.1)
        raise RuntimeError(f"dockerd did not start; its log ends with:\n{(self.directory / 'log').read_text()[-2000:]}")

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as link:
            try:
                link.connect(self.socket)
                link.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                return b" 200 " in link.recv(64)
            except OSError:
                return False

    def stop(self) -> None:
        """Ends its containerd and its containers, too."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(60)

    def __exit__(self, *_):
        self.stop()
        self._log.close()
        shutil.rmtree(self.directory)
        for tree in Path("/sys/fs/cgroup").glob("*" + self._cgroup):
            os.rmdir(tree)
        for path in ITS_TRACES:
            if path.exists() and path not in self._foreign:
                path.rmdir() if path.is_dir() else path.unlink()
