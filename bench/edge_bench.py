"""The edge beside nginx: GET /api/health, which asks one actor, and a static answer of the same bytes, on the same core."""

import contextlib
import json
import os
import re
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from report import Row, at_least
from sandy_peer import SandyServer
from session import undisturbed
from timing import children, cpu_seconds, p50

SERVER_CORE, CLIENT_CORE = 0, 1
CONNECTIONS = 64
PATH = "/api/health"
WANTED = 0.8


def run(session):
    rounds, seconds = (2, 1) if session.quick else (10, 3)
    with SandyServer("--threads", 1) as sandy, _nginx(_body(sandy)) as nginx:
        servers = {"Sandy": (sandy.url, sandy.pid), "nginx": nginx}
        for _, pid in servers.values():
            _pin(pid)
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
    with tempfile.TemporaryDirectory(prefix="sandy-bench-nginx-") as directory:
        Path(directory, "conf").write_text(f"""
            daemon off; worker_processes 1; pid {directory}/pid; error_log {directory}/errors;
            events {{ worker_connections 1024; }}
            http {{
              access_log off; keepalive_requests 1000000000; default_type application/json;
              client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
              fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
              server {{ listen 127.0.0.1:{port}; location / {{ return 200 '{body}'; }} }}
            }}""")
        process = subprocess.Popen(["/usr/sbin/nginx", "-p", directory, "-c", directory + "/conf", "-e", directory + "/errors"])
        try:
            _await_listener(port, process)
            yield f"http://127.0.0.1:{port}", process.pid
        finally:
            process.terminate()
            process.wait(30)


def _await_listener(port, process):
    for _ in range(100):
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.1)
    raise RuntimeError("nginx did not start")


def _pin(pid):
    """Every thread of the process and of its children."""
    for task in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(task), {SERVER_CORE})
    for child in children(pid):
        _pin(child)


def _load(url, pid, seconds):
    """Requests per second, and the server's microseconds of CPU for each."""
    before = cpu_seconds(pid)
    ran = subprocess.run(["taskset", "--cpu-list", str(CLIENT_CORE), "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s",
                          url + PATH], capture_output=True, text=True, check=True)
    spent = cpu_seconds(pid) - before
    if failed := re.search(r"Socket errors.*|Non-2xx.*", ran.stdout):
        raise RuntimeError(f"{url}: {failed[0]}")
    total, took = re.search(r"(\d+) requests in ([\d.]+)s", ran.stdout).groups()
    return int(total) / float(took), spent / int(total) * 1e6
