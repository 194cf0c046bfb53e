"""The edge beside nginx: GET /api/health, which asks one actor, and a static answer of the same bytes, on the same core."""

import contextlib
import json
import socket

from nginx_peer import SERVER_CORE, Load, nginx, pin
from report import Row, at_least
from sandy_peer import SandyServer
from session import undisturbed
from timing import p50

CONNECTIONS = 64
PATH = "/api/health"
WANTED = 0.8


def run(session):
    rounds, seconds = (2, 1) if session.quick else (10, 3)
    with SandyServer("--threads", 1) as sandy, _nginx(_body(sandy)) as peer:
        servers = {"Sandy": (sandy.url, sandy.pid), "nginx": peer}
        for _, pid in servers.values():
            pin(pid, SERVER_CORE)
        batches = {name: [] for name in servers}
        for number in range(rounds):
            for name in servers if number % 2 == 0 else reversed(servers):
                batches[name].append(session.measure(lambda: [_load(*servers[name], seconds)]))
                session.say(f"round {number + 1}/{rounds}: {name}: {batches[name][-1].values[0][0]:.0f} requests/s, "
                            f"{batches[name][-1].values[0][1]:.2f} us of CPU each" + ", disturbed" * (not batches[name][-1].quiet))
    rps, cost = ({name: [pair[which] for pair in pairs] for name, pairs in undisturbed(batches).items()} for which in (0, 1))
    return [
        at_least(f"GET {PATH} per second, one core, vs nginx", *(f"{p50(rps[name]):.0f}/s" for name in ("Sandy", "nginx")),
                 p50(rps["Sandy"]) / p50(rps["nginx"]), WANTED, batches),
        Row("CPU per request, the same", *(f"{p50(cost[name]):.2f} us" for name in ("Sandy", "nginx")),
            f"{p50(cost['Sandy']) / p50(cost['nginx']):.2f} x"),
    ]


def _body(sandy):
    """What Sandy answers, byte by byte."""
    with sandy.connect() as link:
        return json.dumps(link.call("GET", PATH), separators=(",", ":"))


@contextlib.contextmanager
def _nginx(body):
    """One worker that answers every request with `body`; gives its URL and its master's pid."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with nginx(port, f"location / {{ return 200 '{body}'; }}") as pid:
        yield f"http://127.0.0.1:{port}", pid


def _load(url, pid, seconds):
    """Requests per second, and the server's microseconds of CPU for each."""
    load = Load(url + PATH, pid, seconds, CONNECTIONS)
    return load.per_second, load.cpu_us_each
