"""The first token of a model that runs in a warm container: asked by the gateway, and asked directly, from inside its sandbox's network."""

import contextlib
import ctypes
import json
import os
import tempfile
import time
from pathlib import Path

from http1 import Connection
from report import Row, below
from sandy_peer import SandyServer
from sse_load import namespace_of
from timing import p50, p99

MODEL = Path(__file__).resolve().parents[1] / "tests" / "e2e" / "model_container.py"
PORT, PATH = 8080, "/v1/chat/completions"
MOST_ADDED_MS = 10
QUESTION = {"model": "mine", "stream": True, "messages": [{"role": "user", "content": "a few words"}]}


def run(session):
    rounds, chats = (2, 50) if session.quick else (8, 200)
    times = {"gateway": [], "direct": []}
    with tempfile.TemporaryDirectory(prefix="sandy-bench-container-") as folder, _warm(Path(folder)) as sandy:
        with sandy.connect() as gateway, _inside(sandy) as direct:
            links = {"gateway": gateway, "direct": direct}
            for link in links.values():
                _first_token_ms(link)
            for number in range(rounds):
                for name in links if number % 2 == 0 else reversed(links):
                    times[name].append(session.measure(lambda link=links[name]: [_first_token_ms(link) for _ in range(chats)]))
    ours, direct = ([value for batch in batches for value in batch.values] for batches in (times["gateway"], times["direct"]))
    median, late = p50(ours) - p50(direct), p99(ours) - p99(direct)
    session.say(f"first token of a warm container: {p50(ours):.2f} ms (p99 {p99(ours):.2f}), direct {p50(direct):.2f} ms "
                f"(p99 {p99(direct):.2f})")
    details = {"gateway ms": ours, "direct ms": direct}
    return [
        below("gateway: first token of a warm container, more than asked directly, p50", f"{median:.2f} ms", median, MOST_ADDED_MS, "ms", details),
        Row("the same, p99", f"{late:.2f} ms"),
    ]


@contextlib.contextmanager
def _warm(folder):
    """A server with one warm container."""
    config = folder / "sandy.toml"
    command = json.dumps(["python3", "-c", MODEL.read_text()])
    config.write_text(f'[[models]]\nid = "mine"\ncontainers = {{ image = "basic", command = {command}, warm = 1, most = 1 }}\n')
    with SandyServer("--threads", 1, "--config", config, "--end-sandboxes") as sandy:
        with sandy.connect() as link:
            give_up = time.monotonic() + 60
            while b'sandy_model_containers{model="mine",state="idle"} 1' not in link.call("GET", "/metrics"):
                if time.monotonic() > give_up:
                    raise TimeoutError("no container is warm")
                time.sleep(0.1)
        yield sandy


def _inside(sandy):
    """A connection to the model out of its own network namespace."""
    libc = ctypes.CDLL(None, use_errno=True)

    def enter(space):
        if libc.setns(space.fileno(), 0) != 0:
            raise OSError(ctypes.get_errno(), "setns")

    with open("/proc/self/ns/net") as own, open(namespace_of(sandy)) as theirs:
        enter(theirs)
        try:
            return Connection(("127.0.0.1", PORT))
        finally:
            enter(own)


def _first_token_ms(link):
    begun = time.perf_counter()
    pieces = link.stream("POST", PATH, QUESTION)
    first = next(pieces)
    taken = (time.perf_counter() - begun) * 1000
    if not first.startswith(b"data: {") or b"[DONE]" not in first + b"".join(pieces):
        raise RuntimeError(f"the model answered {first!r}")
    return taken
