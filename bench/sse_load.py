"""Five hundred event streams out of a sandbox, fifty events a second each, through a server on one core: how late events are,
and what the server's memory does meanwhile. Producer and readers share the other core; an event carries when it was sent."""

import os
import selectors
import socket
import subprocess
import sys
import time
from pathlib import Path

from nginx_peer import CLIENT_CORE, SERVER_CORE, pin
from report import Row, below
from sandy_peer import SandyServer
from sse_producer import STAMP_DIGITS
from timing import exact_cpu_seconds, kibibytes

STREAMS, EVENTS_PER_SECOND = 500, 50
PRODUCER = Path(__file__).parent / "sse_producer.py"
MOST_LATE_MS, MOST_GROWTH_MIB = 50, 4


def run(session):
    streams, seconds = (100, 3) if session.quick else (STREAMS, 30)
    with SandyServer("--threads", 1) as sandy:
        with sandy.connect() as link:
            box = sandy.create(link)
        pin(sandy.pid, SERVER_CORE)
        command = ["nsenter", f"--net={namespace_of(sandy)}", sys.executable, PRODUCER, *map(str, (5173, streams, EVENTS_PER_SECOND, CLIENT_CORE))]
        producer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            producer.stdout.readline()  # it listens
            own = os.sched_getaffinity(0)
            os.sched_setaffinity(0, {CLIENT_CORE})
            try:
                port = int(sandy.url.rpartition(":")[2])
                request = f"GET / HTTP/1.1\r\nHost: {box}.sandy.localhost\r\n\r\n"
                late, memory, cpu = read(port, request.encode(), sandy.pid, streams, seconds)
            finally:
                os.sched_setaffinity(0, own)
        finally:
            producer.kill()
            producer.wait()
    events = len(late)
    late.sort()
    worst, median = late[int(len(late) * 0.99)] / 1e6, late[len(late) // 2] / 1e6
    expected = streams * EVENTS_PER_SECOND * seconds
    session.say(f"{streams} event streams: {events} of {expected} events, late p50 {median:.2f} ms, p99 {worst:.2f} ms, most {late[-1] / 1e6:.1f} ms; "
                f"server {cpu / seconds * 100:.0f} % of a core, memory {memory[0] / 1024:.1f} to {memory[-1] / 1024:.1f} MiB")
    growth = (memory[-1] - memory[0]) / 1024
    return [
        below(f"{streams} event streams, {EVENTS_PER_SECOND}/s each: late, p99", f"{worst:.1f} ms (p50 {median:.2f})", worst, MOST_LATE_MS, "ms",
              {"events": events, "expected": expected, "most ms": late[-1] / 1e6}),
        Row("the same: events that came, of those that should; CPU", f"{events / expected * 100:.1f} %, {cpu / seconds * 100:.0f} % of a core"),
        below(f"the same: growth of the server in {seconds} s", f"{growth:.1f} MiB (of {memory[-1] / 1024:.0f})", growth, MOST_GROWTH_MIB, "MiB", {"KiB": memory}),
    ]


def namespace_of(sandy):
    """The file of the network namespace of the server's only sandbox."""
    return f"/proc/{sandy.sandbox_processes()[0]}/ns/net"


def read(port, request, pid, streams, seconds):
    """Nanoseconds of delay of each event of so many streams that `request` leads to, and of the server: its memory in KiB now and
    then, and its CPU time."""
    selector = selectors.EpollSelector()
    for _ in range(streams):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.sendall(request)
        selector.register(connection, selectors.EVENT_READ)
    _events(selector, [], time.monotonic() + 3)  # all streams are on their way, and caches warm
    late, memory, cpu = [], [], exact_cpu_seconds(pid)
    for _ in range(10):
        memory.append(kibibytes(f"/proc/{pid}/smaps_rollup")["Rss"])
        _events(selector, late, time.monotonic() + seconds / 10)
    memory.append(kibibytes(f"/proc/{pid}/smaps_rollup")["Rss"])
    spent = exact_cpu_seconds(pid) - cpu
    for key in list(selector.get_map().values()):
        key.fileobj.close()
    return late, memory, spent


def _events(selector, late, end):
    while time.monotonic() < end:
        for key, _ in selector.select(0.1):
            data = key.fileobj.recv(65536)
            if not data:
                raise RuntimeError("a stream has ended")
            now, found = time.monotonic_ns(), data.find(b"data: ")
            while found >= 0:
                stamp = data[found + 6: found + 6 + STAMP_DIGITS]
                if len(stamp) == STAMP_DIGITS and stamp.isdigit():  # else it came in two parts, or is a head
                    late.append(now - int(stamp))
                found = data.find(b"data: ", found + 6)
