"""Workers that are killed, cut off, slow or restarted: what is told of their sandboxes is true, and nothing that lives is lost."""

import collections
import contextlib
import hashlib
import itertools
import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import cluster as clusters
import httpx
import pytest
from cluster import KNOWN_SECONDS, LOST_SECONDS, SMALL, members, node_of
from events import stream
from service import answer, refusal
from waiting import wait_until, wait_until_empty

CUT_SECONDS = 20
# Until anything that was asked of a node is answered, as the case may be when the node is given up.
ANSWER_SECONDS = LOST_SECONDS + 5
CLIENTS = 4
MEBIBYTE = 1 << 20


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with clusters.cluster(tmp_path_factory.mktemp("c")) as made:
        yield made


@pytest.fixture(autouse=True)
def whole(cluster):
    """Every test begins with all nodes, whatever the one before did to them."""
    for node in cluster.nodes.values():
        node.host.heal()
        if not node.server.is_running():
            node.server.start()
    cluster.is_whole()


TEXTS = {200: "", 502: "Upstream error", 404: "Sandbox not found"}


class Asked:
    """A sandbox that is asked for through a node, again and again, for the time of a block."""

    def __init__(self, through, box: str):
        self.statuses = []  # without repetitions
        self.wrong = []
        self._through, self._box = through, box
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()
        assert self.wrong == []

    def becomes(self, status: int, seconds: float) -> None:
        wait_until(lambda: self.statuses[-1:] == [status], f"it answers {status}", seconds)

    def _ask(self) -> None:
        with self._through.api() as api:
            while not self._ended.wait(0.1):
                try:
                    response = api.http.get(f"/api/sandboxes/{self._box}", timeout=ANSWER_SECONDS)
                except httpx.TransportError as error:
                    self.wrong.append(repr(error))
                    continue
                if TEXTS.get(response.status_code, "no answer at all") not in response.text:
                    self.wrong.append((response.status_code, response.text))
                if self.statuses[-1:] != [response.status_code]:
                    self.statuses.append(response.status_code)


def state_of(name: str, asked) -> str:
    return members(asked).get(name, {}).get("state", "gone")


def created_while(condition, node) -> tuple:
    """Creates through a node as long as the condition holds: the statuses, and the nodes of the sandboxes in their order."""
    statuses, places = collections.Counter(), []
    with node.api() as api:
        while condition():
            response = api.http.post("/api/sandboxes", json=SMALL)
            statuses[response.status_code] += 1
            if response.status_code == 200:
                places.append(node_of(response.json()["id"]))
                api.terminate(response.json()["id"])
    return statuses, places


def counting(api, box: str) -> int:
    """A process that writes numbers; its number."""
    return api.start(box, "i=0; while true; do echo $((i += 1)); sleep 0.1; done")["process_id"]


def counted(api, box: str, process: int) -> list:
    path = f"/api/sandboxes/{box}/processes/{process}/output"
    with stream(api.http, "GET", path, params={"follow": "false"}) as events:
        return b"".join(each.bytes for each in events if each.name == "stdout").decode().split()


def goes_on(api, box: str, process: int) -> None:
    """The process has never stopped: no number is missing, and more come."""
    before = counted(api, box, process)
    wait_until(lambda: len(counted(api, box, process)) > len(before), "it counts on")
    assert before == [str(number) for number in range(1, len(before) + 1)]


# -- one that is killed ----------------------------------------------------------------------------------------


def test_sandboxes_of_a_killed_worker_are_unreachable_then_gone_and_there_again_with_it(cluster):
    through = cluster.controller
    with cluster.box(cluster.west) as box, through.api() as api, cluster.box(cluster.east) as bystander:
        process = counting(api, box)
        with Asked(through, box) as asked, Asked(cluster.east, box) as asked_elsewhere:
            asked.becomes(200, 5)
            cluster.west.server.kill()
            asked.becomes(404, LOST_SECONDS)
            asked_elsewhere.becomes(404, LOST_SECONDS)
            assert api.output(bystander, "echo fine") == "fine\n"
            cluster.west.server.start()
            asked.becomes(200, KNOWN_SECONDS)
            asked_elsewhere.becomes(200, KNOWN_SECONDS)
        for each in (asked, asked_elsewhere):
            assert each.statuses in ([200, 502, 404, 200], [200, 404, 200], [200, 502, 404, 502, 200])
        goes_on(api, box, process)
        assert box in {each["id"] for each in answer(api.http.get("/api/sandboxes"))["sandboxes"]}


def test_what_runs_through_another_node_ends_with_the_worker_that_is_killed(cluster):
    with cluster.box(cluster.west) as box, cluster.controller.api() as api:
        body = {"command": "echo begun; sleep 4712", "stream": True}
        with api.http.stream("POST", f"/api/sandboxes/{box}/exec", json=body) as response:
            pieces = response.iter_raw()
            assert b"begun" in next(pieces)
            cluster.west.server.kill()
            with pytest.raises(httpx.TransportError):  # cut, never as if it had ended in order
                collections.deque(pieces, maxlen=0)
        cluster.west.server.start()
        cluster.is_whole()


def test_creations_go_to_the_worker_that_is_left(cluster):
    killed = time.monotonic()
    cluster.west.server.kill()
    statuses, places = created_while(lambda: time.monotonic() < killed + LOST_SECONDS, cluster.controller)
    assert set(statuses) <= {200, 503} and statuses[200] > 0
    assert set(places) == {cluster.east.id}


def test_a_killed_worker_is_told_of_as_unreachable_or_no_more(cluster):
    cluster.west.server.kill()
    for node in (cluster.controller, cluster.east):
        wait_until(lambda: state_of("west", node) in ("unreachable", "gone"), f"{node.name} misses it", LOST_SECONDS)
        assert {name: each["state"] for name, each in members(node).items() if name != "west"} == {"controller": "ready", "east": "ready"}
    cluster.west.server.start()
    cluster.is_whole()


def test_the_others_keep_their_connection_when_a_worker_is_killed(cluster):
    with cluster.connected(cluster.controller, cluster.east):
        cluster.west.server.kill()


def test_lists_go_on_without_a_worker_that_is_lost(cluster):
    with cluster.box(cluster.west) as lost, cluster.box(cluster.east) as kept, cluster.controller.api() as api:
        ours = lambda ids: {lost, kept} & set(ids)
        listed = lambda: ours(each["id"] for each in answer(api.http.get("/api/sandboxes"))["sandboxes"])
        assert listed() == {lost, kept}
        cluster.west.server.kill()
        wait_until(lambda: listed() == {kept}, "it is listed no more", LOST_SECONDS)
        assert ours(each["sandbox_id"] for each in answer(api.http.get("/api/sandboxes/stats"))) == {kept}
        cluster.west.server.start()
        wait_until(lambda: listed() == {lost, kept}, "it is listed again", KNOWN_SECONDS)


def test_workers_go_on_without_their_controller_and_find_it_again(cluster):
    with cluster.box(cluster.west) as box, cluster.east.api() as api:
        cluster.controller.server.kill()
        for _ in range(3):
            assert api.output(box, "echo fine") == "fine\n"
            with api.box(**SMALL) as made:
                assert api.output(made, "echo fine") == "fine\n"
        cluster.controller.server.start()
        cluster.is_whole()
        with cluster.controller.api() as api:
            assert api.output(box, "echo fine") == "fine\n"


# -- one that is cut off ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def cut_off(node):
    """A worker without a line, for the time of the block."""
    node.host.cut()
    try:
        yield
    finally:
        node.host.heal()


def test_sandboxes_of_a_worker_that_is_cut_off_live_on_and_are_reached_again(cluster):
    through, alone = cluster.controller, cluster.west
    with cluster.box(alone) as box, through.api() as api:
        process = counting(api, box)
        with Asked(through, box) as asked:
            asked.becomes(200, 5)
            with cut_off(alone):
                cut = time.monotonic()
                with alone.host.inside(), alone.api() as own:
                    while time.monotonic() < cut + CUT_SECONDS:
                        assert own.output(box, "echo fine", timeout=10) == "fine\n"
                    assert state_of("controller", alone) in ("unreachable", "gone")
                assert asked.statuses in ([200, 502, 404], [200, 404])
            asked.becomes(200, KNOWN_SECONDS)
        goes_on(api, box, process)


@pytest.mark.parametrize("connected", [True, False], ids=["connected before", "not connected"])
def test_who_asks_first_hears_that_a_worker_that_is_cut_off_cannot_be_reached(cluster, connected):
    assert cluster.east.server.stop() == 0
    cluster.east.server.start()
    cluster.is_whole()
    with cluster.box(cluster.west) as box, cluster.east.api() as api:
        if connected:
            answer(api.get(box))
        with cut_off(cluster.west):
            assert refusal(api.get(box), 502).startswith("Upstream error")


def test_what_is_asked_of_a_worker_is_answered_when_the_worker_is_lost(cluster):
    with cluster.box(cluster.west) as box, cluster.controller.api() as api, ThreadPoolExecutor() as pool:
        asked = pool.submit(api.http.post, f"/api/sandboxes/{box}/exec", json={"command": "touch begun; sleep 100"})
        with cluster.west.api() as own:
            wait_until(lambda: own.read(box, "begun").status_code == 200, "the command runs")
        with cut_off(cluster.west):
            assert refusal(asked.result(ANSWER_SECONDS), 502).startswith("Upstream error")
            assert state_of("west", cluster.controller) in ("unreachable", "gone")


def test_creations_go_elsewhere_while_a_worker_is_cut_off(cluster):
    with cluster.controller.api() as api:
        listed = lambda: {each["id"] for each in answer(api.http.get("/api/sandboxes"))["sandboxes"]}
        before = listed()
        with cut_off(cluster.west):
            cut = time.monotonic()
            statuses, places = created_while(lambda: time.monotonic() < cut + LOST_SECONDS, cluster.controller)
        assert set(statuses) <= {200, 503} and statuses[200] > 0
        assert set(places) == {cluster.east.id}
        cluster.is_whole()
        # Nobody was told of a sandbox there, so there is none.
        wait_until_empty(lambda: listed() - before, "sandboxes of nobody")


def test_a_moment_without_a_line_is_only_a_delay(cluster):
    with cluster.box(cluster.west) as box, cluster.controller.api() as api:
        for _ in range(3):
            cluster.west.host.cut()
            healing = threading.Timer(0.5, cluster.west.host.heal)
            healing.start()
            assert api.output(box, "echo fine") == "fine\n"
            healing.join()


def test_a_slow_line_that_loses_frames_loses_nothing_that_is_said(cluster):
    cluster.west.host.slow(delay_seconds=0.02, loss=0.01)
    sent = os.urandom(MEBIBYTE)
    with cluster.box(cluster.west, cluster.controller) as box, cluster.controller.api() as api:
        for _ in range(2):
            answer(api.http.put(f"/api/sandboxes/{box}/files?path=f", content=sent))
            assert hashlib.sha256(api.http.get(f"/api/sandboxes/{box}/files?path=f").content).digest() == hashlib.sha256(sent).digest()
        assert {each["state"] for each in members(cluster.controller).values()} == {"ready"}


# -- all, one after the other ----------------------------------------------------------------------------------


class Traffic:
    """Clients that create, use and end sandboxes, each request at a node that is not about to leave, as behind a balancer."""

    def __init__(self, cluster):
        self.alive = set()  # their creation was answered with 200, and nobody asked for their end
        self.wrong = []  # answers that nobody should ever get
        self.done = collections.Counter()
        self.leaving = None
        self._cluster = cluster
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._clients = [threading.Thread(target=self._client, args=(random.Random(seed),)) for seed in range(CLIENTS)]

    def __enter__(self):
        for each in self._clients:
            each.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        for each in self._clients:
            each.join()

    def has_done(self, more: int) -> None:
        """Waits until so many more requests of each kind succeeded."""
        kinds = ("create", "exec", "terminate")
        before = dict(self.done)
        wait_until(lambda: all(self.done[kind, 200] >= before.get((kind, 200), 0) + more for kind in kinds), f"{more} more of all kinds", 60)

    def _client(self, chance) -> None:
        while not self._ended.is_set():
            if len(self.alive) < 4:
                self._create(chance)
            elif chance.random() < 0.2:
                self._terminate(chance)
            else:
                self._exec(chance)

    def _create(self, chance) -> None:
        response = self._ask(chance, "create", (200, 503), "", SMALL)
        if response is not None and response.status_code == 200:
            with self._lock:
                self.alive.add(response.json()["id"])

    def _exec(self, chance) -> None:
        with self._lock:
            box = chance.choice(sorted(self.alive)) if self.alive else None
        if box is None:
            return
        response = self._ask(chance, "exec", (200, 502, 503, 404), f"/{box}/exec", {"command": f"echo {box}"})
        if response is None or response.status_code in (502, 503):
            return
        with self._lock:
            if response.status_code == 404 and box in self.alive:
                self.wrong.append(("exec", box, response.text))
        if response.status_code == 200 and response.json()["stdout"] != box + "\n":
            self.wrong.append(("exec", box, response.text))

    def _terminate(self, chance) -> None:
        with self._lock:
            box = self.alive.pop() if self.alive else None
        if box is not None:
            self._ask(chance, "terminate", (200, 502, 503), f"/{box}/terminate", {})

    def _ask(self, chance, kind, good, path, body):
        """The answer; None when there was none because the node was leaving."""
        node = chance.choice([each for each in self._cluster.nodes.values() if each is not self.leaving])
        try:
            with node.api() as api:
                response = api.http.post(f"/api/sandboxes{path}", json=body)
        except httpx.TransportError as error:
            if node is not self.leaving:
                self.wrong.append((kind, path, repr(error)))
            return None
        with self._lock:
            self.done[kind, response.status_code] += 1
        if response.status_code not in good:
            self.wrong.append((kind, path, response.status_code, response.text))
        return response


def test_nodes_are_restarted_one_by_one_under_load_and_nothing_is_lost(cluster):
    with Traffic(cluster) as traffic:
        for node in itertools.islice(itertools.cycle(cluster.nodes.values()), 6):
            traffic.has_done(5)
            traffic.leaving = node
            assert node.server.stop() == 0
            node.server.start()
            cluster.is_whole()
            traffic.leaving = None
    assert traffic.wrong == [], dict(traffic.done)
    with cluster.controller.api() as api:
        for box in traffic.alive:
            assert api.output(box, "echo here") == "here\n"
            answer(api.terminate(box))
