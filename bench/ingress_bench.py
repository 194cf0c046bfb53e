"""The way into a sandbox beside nginx doing the same: a reverse proxy on one core, before a server of a few bytes or a large
file (nginx again, the same for both: in the sandbox's network namespace, and outside). Client and server share the other core."""

import contextlib
import tempfile
from pathlib import Path

import sse_load
from awake import awake_cores
from nginx_peer import CLIENT_CORE, SERVER_CORE, Load, free_port, nginx, pin
from report import Row, at_least, below
from sandy_peer import SandyServer
from session import undisturbed
from timing import p50

CONNECTIONS, DOWNLOADS = 64, 4
FILE_BYTES = 64 << 20
MOST_ADDED_US, LEAST_REQUESTS, LEAST_BYTES = 100, 0.6, 0.7
ANSWER = '{"status":"ok","text":"as much as a small answer of an interface has, some hundred bytes in all"}'
# The same headers that Sandy adds, and connections into the sandbox that are kept.
PROXY = """location / {
  proxy_pass http://behind; proxy_http_version 1.1; proxy_max_temp_file_size 0; proxy_set_header Connection "";
  proxy_set_header Host $host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $http_host;
  proxy_set_header Forwarded "for=$remote_addr;proto=$scheme;host=$http_host";
}"""


def run(session):
    return _proxy(session) + sse_load.run(session)


def _proxy(session):
    rounds, seconds = (2, 1) if session.quick else (10, 3)
    with _peers() as peers:
        def load(name, connections, path, cores=contextlib.nullcontext):
            def batch():
                with cores():
                    return [Load(url + path, pid, seconds, connections, headers)]

            url, pid, headers = peers[name]
            return session.measure(batch)

        small, single, awake, large = ({name: [] for name in peers} for _ in range(4))
        for number in range(rounds):
            for name in peers if number % 2 == 0 else reversed(peers):
                single[name].append(load(name, 1, "/"))
                awake[name].append(load(name, 1, "/", awake_cores))
                if name != "direct":
                    small[name].append(load(name, CONNECTIONS, "/"))
                    large[name].append(load(name, DOWNLOADS, "/large"))
            session.say(f"round {number + 1}/{rounds}: " + "; ".join(_said(name, single, awake, small, large) for name in peers))
    del small["direct"], large["direct"]
    return _rows(*map(undisturbed, (small, single, awake, large)))


def _said(name, single, awake, small, large):
    text = f"{name} {single[name][-1].values[0].median_us:.0f} us, awake {awake[name][-1].values[0].median_us:.0f} us"
    if small[name]:
        text += f", {small[name][-1].values[0].per_second:.0f}/s, {_gigabytes(large[name][-1].values[0]):.2f} GB/s"
    return text


def _gigabytes(load):
    return load.bytes / load.seconds / 1e9


def _rows(small, single, awake, large):
    def median(loads, what):
        return {name: p50([what(load) for load in values]) for name, values in loads.items()}

    rate, cost = median(small, lambda load: load.per_second), median(small, lambda load: load.cpu_us_each)
    bytes_rate = median(large, _gigabytes)
    byte_cost = median(large, lambda load: load.cpu_seconds / load.bytes * 2**30)
    names = ("Sandy", "nginx")
    details = {"requests/s": rate, "CPU us each": cost, "GB/s": bytes_rate, "CPU s per GiB": byte_cost}

    def added(loads, which):
        latency = median(loads, lambda load: load.median_us)
        ours, theirs = (latency[name] - latency["direct"] for name in names)
        row = below(f"way in: added p50 latency, one connection{which}", f"{ours:.0f} us (of {latency['Sandy']:.0f})", ours, MOST_ADDED_US, "us",
                    {"median us": latency})
        row.peer = f"{theirs:.0f} us"
        return row

    return [
        at_least("way in: requests per second, one core, vs nginx", *(f"{rate[name]:.0f}/s" for name in names), rate["Sandy"] / rate["nginx"],
                 LEAST_REQUESTS, details),
        Row("way in: CPU per request", *(f"{cost[name]:.1f} us" for name in names), f"{cost['Sandy'] / cost['nginx']:.2f} x"),
        added(single, ""),
        added(awake, ", cores kept awake"),
        at_least("way in: download of 64 MiB, vs nginx", *(f"{bytes_rate[name]:.2f} GB/s" for name in names),
                 bytes_rate["Sandy"] / bytes_rate["nginx"], LEAST_BYTES, details),
        Row("way in: CPU per GiB of it", *(f"{byte_cost[name]:.2f} s" for name in names), f"{byte_cost['Sandy'] / byte_cost['nginx']:.2f} x"),
    ]


@contextlib.contextmanager
def _peers():
    """For each peer the URL, the pid and the headers of requests; "direct" is the server behind, without a proxy."""
    with tempfile.TemporaryDirectory(prefix="sandy-bench-files-", dir="/dev/shm") as folder, contextlib.ExitStack() as stack:
        Path(folder, "large").write_bytes(bytes(FILE_BYTES))
        Path(folder).chmod(0o755)  # for the worker, who is nobody
        behind = f"location / {{ return 200 '{ANSWER}'; }} location /large {{ root {folder}; default_type application/octet-stream; }}"
        port, behind_port = free_port(), free_port()
        sandy = stack.enter_context(SandyServer("--threads", 1))
        with sandy.connect() as link:
            box = sandy.create(link)
        inside = stack.enter_context(nginx(5173, behind, namespace=sse_load.namespace_of(sandy)))
        outside = stack.enter_context(nginx(behind_port, behind))
        more = f"upstream behind {{ server 127.0.0.1:{behind_port}; keepalive {CONNECTIONS}; }}"
        peer = stack.enter_context(nginx(port, PROXY, more))
        for pid, core in ((sandy.pid, SERVER_CORE), (peer, SERVER_CORE), (inside, CLIENT_CORE), (outside, CLIENT_CORE)):
            pin(pid, core)
        host = f"Host: {box}.sandy.localhost"
        yield {"Sandy": (sandy.url, sandy.pid, [host]), "nginx": (f"http://127.0.0.1:{port}", peer, [host]),
               "direct": (f"http://127.0.0.1:{behind_port}", outside, [host])}
