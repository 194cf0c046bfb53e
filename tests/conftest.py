"""A real server for tests: build/release/sandyd on a port and a data directory of its own."""

import json
import os
import queue
import re
import secrets
import signal
import subprocess
import threading
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[1]
# Starting recovers what an earlier run left; stopping ends every sandbox within its grace.
START_SECONDS = 30
STOP_SECONDS = 60


@dataclass
class Server:
    """A running sandyd."""

    base_url: str
    api_key: str
    process: subprocess.Popen
    data_dir: Path
    cgroup_parent: str
    log: Path

    def call(self, method: str, path: str):
        """One request to the API without any client of ours; gives the JSON of the answer."""
        headers = {"Authorization": f"Bearer {self.api_key}"}
        request = urllib.request.Request(self.base_url + path, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def terminate_all(self) -> None:
        """Ends every sandbox."""
        for sandbox in self.call("GET", "/api/sandboxes")["sandboxes"]:
            self.call("POST", f"/api/sandboxes/{sandbox['id']}/terminate")

    def stop(self) -> int:
        """Asks it to end and returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)


def image_dir() -> str:
    return os.environ.get("SANDY_IMAGE_DIR", "/var/lib/sandy/images")


def start_server(data_dir: Path, *arguments: str, program: Path = TOP / "build" / "release" / "sandyd") -> Server:
    """Starts a server and waits until it listens. Fails with the end of its log."""
    key = "sk-" + secrets.token_hex(16)
    # A name nobody else has: servers of other people on this machine are none of our business.
    cgroup_parent = "/sandy-test-" + secrets.token_hex(4)
    data_dir.mkdir(parents=True, exist_ok=True)
    log = data_dir.parent / f"{data_dir.name}.log"
    command = [program, "--listen", "127.0.0.1:0", "--data-dir", data_dir, "--image-dir", image_dir()]
    command += ["--cgroup-parent", cgroup_parent, "--api-key", key]
    # Only what the arguments say: settings of the developer's own server must not leak in.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SANDY_")}
    process = subprocess.Popen(
        [*map(str, command), *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, text=True
    )
    lines: "queue.Queue[str | None]" = queue.Queue()
    threading.Thread(target=_copy_output, args=(process.stdout, log, lines), daemon=True).start()
    while (line := _next(lines)) is not None:
        if found := re.search(r"listening on (http://127\.0\.0\.1:\d+)", line):
            return Server(found[1], key, process, data_dir, cgroup_parent, log)
    process.kill()
    process.wait()
    pytest.fail(f"sandyd did not start; its output ends with:\n{log.read_text()[-4000:]}")


def _copy_output(pipe, log: Path, lines) -> None:
    # Read to the end, always: a server must not be slowed by a full pipe.
    with log.open("a") as file:
        for line in pipe:
            file.write(line)
            file.flush()
            lines.put(line)
    lines.put(None)


def _next(lines):
    try:
        return lines.get(timeout=START_SECONDS)
    except queue.Empty:
        return None


def leftovers(server: Server) -> list:
    """What carries the name of this server although it has ended: mounts, processes, cgroups."""
    name = str(server.data_dir)
    found = [f"mount {line}" for line in Path("/proc/self/mountinfo").read_text().splitlines() if name in line]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            mounts = (process / "mountinfo").read_text()
        except OSError:  # it ended meanwhile
            continue
        if int(process.name) != os.getpid() and (name in command or name in mounts):
            found.append(f"process {process.name}: {command}")
    cgroups = Path("/sys/fs/cgroup").rglob(server.cgroup_parent.lstrip("/") + "*")
    return found + [f"cgroup {path}" for path in cgroups]


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One server for all tests of a run. When it ends, exactly nothing of it may be left."""
    running = start_server(tmp_path_factory.mktemp("sandy") / "data")
    yield running
    # Sandboxes outlive their server on purpose; what tests forgot must not look like a leak.
    running.terminate_all()
    assert running.stop() == 0, f"sandyd did not end well:\n{running.log.read_text()[-4000:]}"
    assert leftovers(running) == []
