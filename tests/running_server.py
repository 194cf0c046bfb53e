"""Starts real servers, each with a data directory, a port, a key and control groups of its own."""

import json
import os
import queue
import re
import secrets
import signal
import subprocess
import threading
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

TOP = Path(__file__).resolve().parents[1]
PROGRAM = Path(os.environ.get("SANDYD") or TOP / "build" / "release" / "sandyd")
# Starting recovers what an earlier run left; stopping ends every running request within its grace.
START_SECONDS = 30
STOP_SECONDS = 40


class NotStarted(Exception):
    """The server ended before it listened."""

    def __init__(self, exit_code: int, output: str):
        super().__init__(f"sandyd did not start, exit code {exit_code}; its output ends with:\n{output[-4000:]}")
        self.exit_code = exit_code
        self.output = output


@dataclass
class Server:
    """A sandyd, running unless it was stopped or killed."""

    data_dir: Path
    arguments: tuple = ()
    program: Path = PROGRAM
    api_key: str = field(default_factory=lambda: "sk-" + secrets.token_hex(16))
    # A name nobody else has: servers of other people on this machine are none of our business.
    # None lets the server choose.
    cgroup_parent: Optional[str] = field(default_factory=lambda: "/sandy-test-" + secrets.token_hex(4))
    listen: str = "127.0.0.1:0"
    # A command that becomes the one behind it, such as nsenter.
    within: tuple = ()
    base_url: str = ""
    process: Optional[subprocess.Popen] = None

    @property
    def log(self) -> Path:
        """What the server wrote, over all its runs."""
        return self.data_dir.parent / f"{self.data_dir.name}.log"

    @property
    def pid(self) -> int:
        return self.process.pid

    def start(self) -> "Server":
        """Starts it and waits until it listens; after an end, starts it again on the same data directory.
        Raises NotStarted."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        command = [*self.within, self.program, "--listen", self.listen, "--data-dir", self.data_dir, "--image-dir", image_dir()]
        command += ["--api-key", self.api_key]
        command += ["--cgroup-parent", self.cgroup_parent] if self.cgroup_parent else []
        # Only what the arguments say: settings of the developer's own server must not leak in.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SANDY_")}
        # Tests that count sandboxes want none but their own; those of pools ask for them with a flag, which wins.
        environment["SANDY_PREWARM_COUNT"] = "0"
        # Nothing of a test leaves this machine: no name leads anywhere. Tests of networks say what theirs is.
        environment["SANDY_NETWORK_DNS"] = "127.0.0.1:1"
        environment["SANDY_NETWORK_DENY"] = "0.0.0.0/0,::/0"
        self.process = subprocess.Popen(
            [*map(str, command), *map(str, self.arguments)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, text=True, errors="replace",
        )
        lines: "queue.Queue[Optional[str]]" = queue.Queue()
        threading.Thread(target=_copy_output, args=(self.process.stdout, self.log, lines), daemon=True).start()
        seen = []
        while (line := _next(lines)) is not None:
            seen.append(line)
            if found := re.search(r"listening on (http://[\d.]+:\d+)", line):
                self.base_url = found[1]
                return self
        self.process.kill()
        raise NotStarted(self.process.wait(), "".join(seen))

    def call(self, method: str, path: str):
        """One request to the API without any client of ours; gives the JSON of the answer."""
        headers = {"Authorization": f"Bearer {self.api_key}"}
        request = urllib.request.Request(self.base_url + path, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def terminate_all(self) -> None:
        """Ends every sandbox of this server's key, and forgets its snapshots."""
        for image in self.call("GET", "/api/images")["images"]:
            if image["snapshot"]:
                self.call("DELETE", f"/api/images/{image['name']}")
        for sandbox in self.call("GET", "/api/sandboxes")["sandboxes"]:
            self.call("POST", f"/api/sandboxes/{sandbox['id']}/terminate")

    def stop(self) -> int:
        """Asks it to end and returns its exit code; that of SIGKILL (-9) when it does not end in time. Its sandboxes
        live on."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return self.process.returncode

    def kill(self) -> None:
        """Ends it as a crash would."""
        self.process.kill()
        self.process.wait()

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None


def image_dir() -> str:
    return os.environ.get("SANDY_IMAGE_DIR", "/var/lib/sandy/images")


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
