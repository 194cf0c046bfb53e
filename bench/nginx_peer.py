"""nginx as a peer, and as what both peers ask; and wrk, which loads them."""

import contextlib
import os
import re
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from timing import children, cpu_seconds

SERVER_CORE, CLIENT_CORE = 0, 1
UNITS = {"us": 1, "ms": 1e3, "s": 1e6}


@contextlib.contextmanager
def nginx(port, server, more="", namespace=None):
    """One worker that listens on the loopback; gives the pid of its master. `server` is what its server block says
    beside that, `more` stands before the block. `namespace` is the file of another network namespace to listen in."""
    with tempfile.TemporaryDirectory(prefix="sandy-bench-nginx-") as directory:
        Path(directory, "conf").write_text(f"""
            daemon off; worker_processes 1; pid {directory}/pid; error_log {directory}/errors;
            events {{ worker_connections 4096; }}
            http {{
              access_log off; keepalive_requests 1000000000; default_type application/json; sendfile on; tcp_nopush on;
              client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
              fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
              {more}
              server {{ listen 127.0.0.1:{port}; {server} }}
            }}""")
        enter = ["nsenter", f"--net={namespace}"] if namespace else []
        process = subprocess.Popen([*enter, "/usr/sbin/nginx", "-p", directory, "-c", directory + "/conf", "-e", directory + "/errors"])
        try:
            _await_file(Path(directory, "pid"), process)
            yield process.pid
        finally:
            process.terminate()
            process.wait(30)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def _await_file(file, process):
    # It is written when nginx listens; a connection could not be tried in another namespace.
    for _ in range(100):
        if process.poll() is not None:
            break
        if file.exists() and file.read_text():
            return
        time.sleep(0.1)
    raise RuntimeError("nginx did not start")


def pin(pid, core):
    """Every thread of the process and of its children."""
    for task in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(task), {core})
    for child in children(pid):
        pin(child, core)


class Load:
    """What wrk did to a server in some seconds: requests and bytes per second, the median in microseconds, and the CPU
    time that `pid` and its children took for it. `script` is a file for wrk."""

    def __init__(self, url, pid, seconds, connections, headers=(), script=None):
        command = ["taskset", "--cpu-list", str(CLIENT_CORE), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout=60s"]
        command += ["--script", script] if script else []
        before = cpu_seconds(pid)
        ran = subprocess.run([*command, *(part for header in headers for part in ("-H", header)), url], capture_output=True, text=True, check=True)
        self.cpu_seconds = cpu_seconds(pid) - before
        if failed := re.search(r"Socket errors.*|Non-2xx.*", ran.stdout):
            raise RuntimeError(f"{url}: {failed[0]}")
        total, took, size, unit = re.search(r"(\d+) requests in ([\d.]+)s, ([\d.]+)([KMGT]?B) read", ran.stdout).groups()
        self.requests, self.seconds = int(total), float(took)
        self.bytes = float(size) * 1024 ** " KMGT".index(unit[0] if len(unit) > 1 else " ")
        median, unit = re.search(r"50%\s+([\d.]+)(us|ms|s)", ran.stdout).groups()
        self.median_us = float(median) * UNITS[unit]

    @property
    def per_second(self):
        return self.requests / self.seconds

    @property
    def cpu_us_each(self):
        return self.cpu_seconds / self.requests * 1e6
