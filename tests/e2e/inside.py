"""Finds the processes of a sandbox from outside."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Process:
    """A process of this machine, held so that its number cannot come to mean another one."""

    pid: int
    handle: int

    def kill(self) -> None:
        signal.pidfd_send_signal(self.handle, signal.SIGKILL)
        os.close(self.handle)


def processes(server, box: str) -> list:
    """The numbers of all processes in a sandbox, on this machine."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            groups = (process / "cgroup").read_text()
        except OSError:  # it ended meanwhile
            continue
        if f"{server.cgroup_parent}/{box}" in groups:
            found.append(int(process.name))
    return found


def process_one(server, box: str) -> Process:
    """The guest: what the sandbox itself sees as process 1."""
    for pid in processes(server, box):
        numbers = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("NSpid"))
        if numbers.split()[-1] == "1":
            return Process(pid, os.pidfd_open(pid))
    raise AssertionError(f"the sandbox {box} has no process 1")
