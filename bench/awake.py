"""Cores that do not sleep, for latencies: on a virtual machine a core that sleeps takes tens of microseconds to wake, whoever wakes it."""

import contextlib
import os
import subprocess
import sys


@contextlib.contextmanager
def awake_cores():
    """Meanwhile each core has something to do that everything else goes before (SCHED_IDLE)."""
    with contextlib.ExitStack() as stack:
        for core in sorted(os.sched_getaffinity(0)):
            spin = subprocess.Popen(["chrt", "--idle", "0", "taskset", "--cpu-list", str(core), sys.executable, "-c", "while True: pass"])
            stack.callback(spin.wait)
            stack.callback(spin.kill)
        yield
