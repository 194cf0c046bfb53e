"""Clusters of real servers, each on a host of its own (hosts.py)."""

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import hosts
import httpx
from certificates import Authority, Certificate
from leftovers import leftovers
from running_server import Server
from service import Service, answer
from waiting import wait_until

API_PORT, NODE_PORT, CONTROL_PORT = 7330, 7332, 7333

# Every node knows the same keys. That of tests themselves is no administrator's.
KEY, ADMINISTRATOR, STRANGER, SLOW = "sk-of-tests", "sk-of-operations", "sk-of-strangers", "sk-of-the-slow"
TENANTS = f"""
[[api_keys]]
tenant = "operations"
key = "{ADMINISTRATOR}"
admin = true
[[api_keys]]
tenant = "strangers"
key = "{STRANGER}"
[[api_keys]]
tenant = "slow"
key = "{SLOW}"
[tenants.slow]
requests_per_second = 1
request_burst = 3
"""

SMALL = {"resources": {"memory_mb": 128, "disk_gb": 0.2}, "ttl_seconds": 900}
# First ids of users; a server counts from there, by 65536 for a sandbox.
UIDS, UIDS_OF_A_NODE = 300_000_000, 400_000_000
# Until a node is known to be lost, and until all know of one that came (back).
LOST_SECONDS, KNOWN_SECONDS = 15, 15


@dataclass
class Node:
    """A server on a host. @param joins the node that it looks for, if any"""

    name: str
    role: str
    labels: list
    host: hosts.Host
    certificate: Optional[Certificate]
    joins: Optional["Node"]
    folder: Path

    def __post_init__(self):
        self.folder.mkdir()
        file = self.folder / "sandy.toml"
        file.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in self._settings().items()) + TENANTS)
        self.server = Server(self.folder / "data", ("--config", file), api_key=KEY, listen=f"{self.host.address}:{API_PORT}",
                             within=self.host.within)

    @property
    def id(self) -> str:
        """Its part of its sandboxes' ids. It keeps it."""
        if not hasattr(self, "_id"):
            (self._id,) = (each["id"] for each in members(self).values() if each["self"])
        return self._id

    def api(self, key: Optional[str] = KEY) -> Service:
        """The service, entered here."""
        # Without TLS nothing is verified; but to read what it would be with takes longer than many a request.
        return Service(self.server.base_url, key, verify=False)

    def said(self, event: str) -> list:
        """The lines of its log with this event."""
        lines = (line for line in self.server.log.read_text().splitlines() if line.startswith("{"))
        return [each for each in map(json.loads, lines) if each["event"] == event]

    def _settings(self) -> dict:
        settings = {
            "role": self.role, "node_name": self.name, "node_labels": self.labels, "uid_base": UIDS + UIDS_OF_A_NODE * self._number,
            "cluster_listen": f"{self.host.address}:{NODE_PORT}", "cluster_control_listen": f"{self.host.address}:{CONTROL_PORT}",
            "cluster_join": [f"{self.joins.host.address}:{NODE_PORT}"] if self.joins else [],
        }
        if self.certificate:
            settings |= {f"cluster_{what}": str(getattr(self.certificate, what)) for what in ("certificate", "key", "authority")}
        return settings

    @property
    def _number(self) -> int:
        return int(self.host.address.rsplit(".", 1)[1]) - 1


def members(asked: Node) -> dict:
    """What a node says of all nodes, by their names."""
    with asked.api(ADMINISTRATOR) as api:
        return {each["name"]: each for each in answer(api.http.get("/api/cluster"))["nodes"]}


def node_of(box: str) -> str:
    """The id of the node that has this sandbox."""
    return box[:6]


class Cluster:
    """A controller that the two workers `east` and `west` look for, at the switch of this thread."""

    def __init__(self, folder: Path):
        self._folder, self._authority = folder, Authority(folder / "authority")
        self._hosts, self.nodes = [], {}
        self.controller = self._add("controller", "controller")
        self.east, self.west = self.workers = [self._add(name, "worker", [f"in-the-{name}"]) for name in ("east", "west")]

    @contextlib.contextmanager
    def beside(self, name: str, certificate: Optional[Certificate]):
        """A worker that looks for the controller and is none of the cluster's; it does not run yet, and ends with the block."""
        node = self._make(name, "worker", [], certificate)
        try:
            yield node
        finally:
            _end(node)

    def certificate(self, name: str) -> Certificate:
        return self._authority.certificate(name)

    def _add(self, name: str, role: str, labels=()) -> Node:
        self.nodes[name] = self._make(name, role, labels, self.certificate(name))
        return self.nodes[name]

    def _make(self, name: str, role: str, labels, certificate: Optional[Certificate]) -> Node:
        self._hosts.append(hosts.Host(len(self._hosts) + 1))
        folder = self._folder / str(len(self._hosts))
        return Node(name, role, list(labels), self._hosts[-1], certificate, getattr(self, "controller", None), folder)

    def start(self) -> None:
        for node in self.nodes.values():
            node.server.start()
        self.is_whole()

    def is_whole(self) -> None:
        """Waits until every node knows every node as ready."""
        self.all_say({name: "ready" for name in self.nodes})

    def all_say(self, states: dict, asked=None, seconds: float = KNOWN_SECONDS) -> None:
        """Waits until nodes, all or these, tell of so many nodes and these states."""
        told = lambda node: {name: each["state"] for name, each in members(node).items()}
        for node in asked or self.nodes.values():
            wait_until(lambda: told(node) == states, f"{node.name} tells of {states}", seconds)

    @contextlib.contextmanager
    def connected(self, *nodes):
        """None of these loses the connection to another of them, in the block or because of it."""
        names = {node.name for node in nodes}
        lost = lambda: [(node.name, each["node"]) for node in nodes for each in node.said("node_unreachable") if each["node"] in names]
        before = lost()
        yield
        for _ in range(2):  # what is under way may have been sent before
            self._hear_of_each_other(nodes)
        assert lost() == before, lost()

    @contextlib.contextmanager
    def box(self, node: Node, through: Optional[Node] = None, **body):
        """The id of a small sandbox on this worker that ends with the block."""
        with (through or node).api() as api:
            box = api.create(**{**SMALL, "upstream": node.labels[0], **body})["id"]
            try:
                assert node_of(box) == node.id, f"{box} is not on {node.name}, {node.id}"
                yield box
            finally:
                with contextlib.suppress(httpx.TransportError):  # a test left its node dead; the cluster's end is the sandbox's
                    api.terminate(box)

    def _hear_of_each_other(self, nodes) -> None:
        """Waits until each has heard from each of the others."""
        seen = lambda node: {other.name: members(node)[other.name]["last_seen_at"] for other in nodes if other is not node}
        for node in nodes:
            before = seen(node)
            wait_until(lambda: all(seen(node)[name] > at for name, at in before.items()), f"{node.name} hears from the others", KNOWN_SECONDS)

    def end(self) -> None:
        """Ends all servers with their sandboxes. Exactly nothing of them may be left."""
        with contextlib.ExitStack() as whatever_fails:
            for host in self._hosts:
                whatever_fails.callback(host.close)
            for node in self.nodes.values():
                whatever_fails.callback(_end, node)
            for node in self.nodes.values():
                whatever_fails.callback(_empty, node)
            for host in self._hosts:
                host.heal()


@contextlib.contextmanager
def cluster(folder: Path):
    """One that is whole, around this thread."""
    with hosts.switch():
        made = Cluster(folder)
        try:
            made.start()
            yield made
        finally:
            made.end()


def _empty(node: Node) -> None:
    """Ends the sandboxes that tests forgot, also those of a node that a test left dead."""
    if not node.server.is_running():
        if node.server.process is None or not leftovers(node.server):
            return
        node.server.start()
    node.server.terminate_all()


def _end(node: Node) -> None:
    if node.server.is_running():
        assert node.server.stop() == 0, f"{node.name} did not end well:\n{node.server.log.read_text()[-4000:]}"
        left = leftovers(node.server)
        assert left == [], left
