"""Docker's engine, as the benchmarks drive it: a daemon of their own, through its HTTP API, with the image Sandy uses."""

import subprocess

from docker_engine import Engine
from http1 import Connection
from running_server import TOP

API = "/v1.41"


class DockerEngine:
    """A dockerd (with its containerd) that shares nothing with one that may already run; used as a context."""

    name = "Docker"

    def __enter__(self):
        self._engine = Engine().__enter__()
        try:
            with self.connect() as link:
                self.version = link.call("GET", API + "/version")["Version"]
            self._import_image()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _import_image(self):
        tar = subprocess.Popen([TOP / "script" / "image", "--archive", "basic"], stdout=subprocess.PIPE)
        with self.connect() as link:
            link.upload(f"{API}/images/create?fromSrc=-&repo=basic", iter(lambda: tar.stdout.read(1 << 20), b""))
        if tar.wait() != 0:
            raise RuntimeError("tar could not read the image")

    def __exit__(self, *_):
        with self.connect() as link:
            for container in link.call("GET", API + "/containers/json?all=1"):
                self.remove(link, container["Id"])
        self._engine.__exit__()

    def connect(self):
        return Connection(self._engine.socket)

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
