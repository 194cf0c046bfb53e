"""What another node on the way costs: the same sandbox through its own node and through another, both on this machine."""

import contextlib
import subprocess
import tempfile
import time
from pathlib import Path

from nginx_peer import free_port
from report import Row, at_least, below
from running_server import PROGRAM
from sandy_peer import SandyServer
from session import undisturbed
from timing import milliseconds, p50, p90

FILE_BYTES = 64 << 20
MOST_ADDED_MS, LEAST_BYTES = 0.5, 0.6
KNOWN_SECONDS = 30


def run(session):
    rounds, execs = (2, 20) if session.quick else (10, 100)
    times, rates = {"own": [], "other": []}, {"own": [], "other": []}
    with _two_nodes() as nodes, nodes["own"].connect() as own, nodes["other"].connect() as other:
        links = {"own": own, "other": other}
        box = _sandbox(own, other)
        own.call("POST", f"/api/sandboxes/{box}/exec", {"command": f"head -c {FILE_BYTES} /dev/zero > /workspace/large"})
        for number in range(rounds):
            for name in links if number % 2 == 0 else reversed(links):
                link = links[name]
                times[name].append(session.measure(lambda link=link: [_exec_ms(link, box) for _ in range(execs)]))
                rates[name].append(session.measure(lambda link=link: [_gigabytes_per_second(link, box)]))
            session.say(f"round {number + 1}/{rounds}: " + "; ".join(
                f"{name} {p50(times[name][-1].values):.2f} ms, {rates[name][-1].values[0]:.2f} GB/s" for name in links))
    own, other = (undisturbed({"times": times[name]})["times"] for name in ("own", "other"))
    own_rate, other_rate = (p50(undisturbed({"rates": rates[name]})["rates"]) for name in ("own", "other"))
    added = p50(other) - p50(own)
    return [
        below("exec true through another node, more than through its own, p50", f"+{added:.2f} ms", added, MOST_ADDED_MS, "ms",
              {"own ms": own, "other ms": other}),
        Row("the same, in all", f"{p50(other):.2f} ms (p90 {p90(other):.2f})", f"{p50(own):.2f} ms (p90 {p90(own):.2f})"),
        at_least("a file of 64 MiB through another node, vs through its own", f"{other_rate:.2f} GB/s", f"{own_rate:.2f} GB/s",
                 other_rate / own_rate, LEAST_BYTES, {}),
    ]


@contextlib.contextmanager
def _two_nodes():
    with tempfile.TemporaryDirectory(prefix="sandy-bench-cluster-", dir="/var/tmp") as folder:
        authority, port = Path(folder) / "authority", free_port()
        subprocess.run([PROGRAM.parent / "sandy", "cluster", "certs", authority, "own", "other"], check=True, stdout=subprocess.DEVNULL)

        def node(name, *arguments):
            files = ("--cluster-certificate", authority / f"{name}.pem", "--cluster-key", authority / f"{name}-key.pem",
                     "--cluster-authority", authority / "ca.pem")
            return SandyServer("--threads", 1, "--node-name", name, *files, *arguments)

        with node("own", "--cluster-listen", f"127.0.0.1:{port}", "--node-labels", "own") as own:
            joining = ("--cluster-listen", "127.0.0.1:0", "--cluster-join", f"127.0.0.1:{port}", "--uid-base", 400_000_000)
            with node("other", *joining) as other:
                yield {"own": own, "other": other}


def _sandbox(own, other):
    """One of the first node, once the second knows of it."""
    box = own.call("POST", "/api/sandboxes", {"upstream": "own"})["sandboxId"]
    give_up = time.monotonic() + KNOWN_SECONDS
    while box not in (each["id"] for each in other.call("GET", "/api/sandboxes")["sandboxes"]):
        if time.monotonic() > give_up:
            raise TimeoutError("the nodes do not know each other")
        time.sleep(0.1)
    return box


def _exec_ms(link, box):
    return milliseconds(lambda: link.call("POST", f"/api/sandboxes/{box}/exec", {"command": "true"}))


def _gigabytes_per_second(link, box):
    taken = milliseconds(lambda: link.drain(f"/api/sandboxes/{box}/files?path=/workspace/large"))
    return FILE_BYTES / taken / 1e6
