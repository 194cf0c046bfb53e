"""Clocks and numbers."""

import os
import statistics
import time
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def milliseconds(action):
    """How long `action` takes."""
    begin = time.perf_counter_ns()
    action()
    return (time.perf_counter_ns() - begin) / 1e6


def p50(values):
    return statistics.median(values)


def p90(values):
    return statistics.quantiles(values, n=10)[-1]


def p99(values):
    return statistics.quantiles(values, n=100)[-1]


def cpu_seconds(pid):
    """CPU time of a process and of its children that live, in ticks of the kernel (10 ms)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    own = (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND
    return own + sum(map(cpu_seconds, children(pid)))


def exact_cpu_seconds(pid):
    """CPU time of the threads of a process that live, from the scheduler: what cpu_seconds is too coarse for."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()) / 1e9


def children(pid):
    return [child for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]


def kibibytes(path):
    """The numbers of a file of lines like "MemAvailable:  1234 kB", by name."""
    lines = (line.split() for line in Path(path).read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) for words in lines if len(words) == 3 and words[2] == "kB"}
