"""A server with one of everything that is counted, and a Prometheus that scrapes it as deploy/prometheus says."""

import json
import shutil
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from leftovers import leftovers
from monitoring import PROMETHEUS, Metrics, eventually
from running_server import Server

# Families with a label for what is configured are empty without it. Nothing of it is reached.
CONFIGURATION = """
[[models]]
id = "small"
url = "http://127.0.0.1:1"
[[models]]
id = "mine"
containers = { image = "no-such-image", warm = 1 }
[platform.llm]
target = "http://127.0.0.1:1/v1"
"""


@pytest.fixture(scope="session")
def metered(tmp_path_factory):
    """A server that has done a little: made a sandbox, run a command in it, ended it."""
    folder = tmp_path_factory.mktemp("metered")
    (folder / "sandy.toml").write_text(CONFIGURATION)
    server = Server(folder / "data", ("--config", folder / "sandy.toml")).start()
    try:
        box = server.call("POST", "/api/sandboxes")["sandboxId"]
        command = urllib.request.Request(
            f"{server.base_url}/api/sandboxes/{box}/exec", json.dumps({"command": "true"}).encode(),
            {"Authorization": f"Bearer {server.api_key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(command, timeout=60) as answer:
            assert json.load(answer)["exitCode"] == 0
        yield server
        server.terminate_all()
    finally:
        exit_code = server.stop()
    assert exit_code == 0 and leftovers(server) == []


@pytest.fixture(scope="session")
def metrics(metered) -> Metrics:
    """What that server shows of itself; families that are used later, too."""
    def shown():
        with urllib.request.urlopen(metered.base_url + "/metrics", timeout=60) as answer:
            return Metrics(answer.read().decode())

    eventually(lambda: "sandy_model_container_failures_total" in shown().families, "the container of no image failed")
    return shown()


class Prometheus:
    """A real one. Its address, and what it answers."""

    def __init__(self, address: str):
        self.address = address

    def ask(self, path: str, **parameters):
        """The data of an answer; raises AssertionError with Prometheus' own words when it is none."""
        url = f"{self.address}{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as refused:
            raise AssertionError(f"{parameters or path}: {refused.read().decode()}") from None
        except OSError:  # it is still starting
            return None


@pytest.fixture(scope="session")
def prometheus(metered, tmp_path_factory):
    """One that runs with our files: the server is among the nodes of a file, as those of a cluster are."""
    folder = tmp_path_factory.mktemp("prometheus")
    for file in PROMETHEUS.glob("*.yml"):
        shutil.copy(file, folder)
    configuration = folder / "prometheus.yml"
    text = configuration.read_text()
    # Faster than anybody would have it, and without the one server at the usual port: it may be somebody's.
    assert text.count(": 15s") == 2 and text.count('"127.0.0.1:7330"') == 1
    configuration.write_text(text.replace(": 15s", ": 1s").replace('"127.0.0.1:7330"', ""))
    Path(folder, "nodes").mkdir()
    nodes = [{"targets": [metered.base_url.removeprefix("http://")], "labels": {"cluster": "test"}}]
    Path(folder, "nodes", "sandy.yml").write_text(json.dumps(nodes))
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = ["prometheus", f"--config.file={configuration}", f"--storage.tsdb.path={folder}/data", f"--web.listen-address={address}"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        running = Prometheus(f"http://{address}")
        eventually(lambda: any(each["health"] == "up" for each in (running.ask("/api/v1/targets") or {}).get("activeTargets", [])),
                   "Prometheus reaches the server")
        yield running
    finally:
        process.terminate()
        process.wait(20)
