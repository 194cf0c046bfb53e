"""kill -9 of the server, and of what it depends on, at any moment: nothing is lost, nothing is left."""

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from contract import timestamp
from events import stream
from inside import process_one
from leftovers import leftovers
from service import Service, answer
from waiting import wait_until

ROUNDS = 12
LOADERS = 4


class Load:
    """Clients that create, run, start, write and terminate until the server is gone, and remember what they were promised."""

    def __init__(self):
        self.alive = {}  # created and answered: id -> id of its background process
        self.ended = set()  # terminate was answered
        self.lock = threading.Lock()
        self.killed = threading.Event()

    def run(self, server, operations: int) -> None:
        """Loads the server, kills it in the middle of the operation after `operations` ones, and starts it again."""
        counter = itertools.count()
        enough = threading.Event()
        with ThreadPoolExecutor(LOADERS) as pool:
            clients = [pool.submit(self._client, server, counter, operations, enough) for _ in range(LOADERS)]
            assert enough.wait(60)
            # Creating takes some 30 ms: another moment of it in every round.
            threading.Event().wait(0.003 * (operations % 11))
            self.killed.set()
            server.kill()
            for each in clients:
                each.result(60)
        self.killed.clear()
        server.start()

    def _client(self, server, counter, operations, enough) -> None:
        with Service(server.base_url, server.api_key) as api:
            try:
                while True:
                    self._session(api, lambda: next(counter) < operations or enough.set())
            except (httpx.TransportError, AssertionError):
                if not self.killed.is_set():
                    raise

    def _session(self, api, step) -> None:
        step()
        box = api.create(ttl_seconds=900)["id"]
        step()
        process = api.start(box, "seq 1 100; exec sleep 9000")["process_id"]
        with self.lock:
            self.alive[box] = process
        step()
        assert api.output(box, "cat /proc/sys/kernel/hostname > name; echo ok") == "ok\n"
        step()
        api.write(box, "file", "content")
        step()
        if len(self.alive) > 6:
            with self.lock:
                victim = next(iter(self.alive))
                del self.alive[victim]
            answer(api.terminate(victim))
            self.ended.add(victim)


def numbers_since(api, box, process, offset):
    """What a counting process wrote from `offset` on, as far as it is there; and the next offset."""
    path = f"/api/sandboxes/{box}/processes/{process}/output"
    text, count = b"", 0
    with stream(api.http, "GET", path, params={"offset": offset, "follow": "true"}) as events:
        for each in events:
            assert each.name == "stdout" and each.data["offset"] == offset
            text += each.bytes
            offset += len(each.bytes)
            count += 1
            if count >= 3 and text.endswith(b"\n"):
                return text, offset


def test_killed_under_load_again_and_again_it_loses_nothing_and_leaves_nothing(sandyd):
    server, load = sandyd("--create-timeout", "20s"), Load()
    with Service(server.base_url, server.api_key) as api:
        box = api.create(ttl_seconds=3000)["id"]
        process = api.start(box, "i=0; while :; do echo $i; i=$((i+1)); sleep 0.02; done")["process_id"]
    counted, offset = b"", 0
    for number in range(ROUNDS):
        load.run(server, operations=3 + 7 * number % 31)
        with Service(server.base_url, server.api_key) as api:
            more, offset = numbers_since(api, box, process, offset)
            counted += more
            listed = {each["id"] for each in answer(api.http.get("/api/sandboxes"))["sandboxes"]}
            assert listed >= {box, *load.alive}
            assert not listed & load.ended
            for each, background in load.alive.items():
                assert api.output(each, "echo alive") == "alive\n"
                found = answer(api.http.get(f"/api/sandboxes/{each}/processes/{background}"))
                assert found["status"] == "running"
            # A creation that was cut is either undone or whole.
            for each in listed - {box, *load.alive}:
                assert api.output(each, "echo whole") == "whole\n"
    assert [int(line) for line in counted.split()] == list(range(len(counted.split())))
    server.terminate_all()
    assert wait_until(lambda: leftovers(server) == [] or None, "one sweep", 75) and server.stop() == 0
    assert leftovers(server) == []


def test_many_sandboxes_are_all_taken_over_again_and_again(sandyd):
    server = sandyd()
    with Service(server.base_url, server.api_key) as api, ThreadPoolExecutor(4) as pool:
        boxes = {each["id"] for each in pool.map(lambda _: api.create(ttl_seconds=900), range(30))}
    for _ in range(12):
        server.kill()
        server.start()
        with Service(server.base_url, server.api_key) as api, ThreadPoolExecutor(4) as pool:
            assert {each["id"] for each in answer(api.http.get("/api/sandboxes"))["sandboxes"]} == boxes
            assert set(pool.map(lambda box: api.output(box, "echo alive"), boxes)) == {"alive\n"}


def test_a_living_sandbox_is_seen_by_the_search_for_leftovers(sandyd):
    server = sandyd()
    with Service(server.base_url, server.api_key) as api, api.box():
        kinds = {each.split()[0] for each in leftovers(server)}
        assert kinds >= {"process", "cgroup", "loop", "file", "record"}


def test_a_lifetime_that_ends_while_the_server_is_down_is_over_when_it_is_back(sandyd):
    server = sandyd()
    with Service(server.base_url, server.api_key) as api:
        short, long = api.create(ttl_seconds=2), api.create(ttl_seconds=600)
    server.kill()
    deadline = timestamp(short["timeoutAt"]).timestamp()
    wait_until(lambda: time.time() > deadline, "the lifetime ends")
    server.start()
    with Service(server.base_url, server.api_key) as api:
        assert api.get(short["id"]).status_code == 404
        assert answer(api.get(long["id"]))["timeoutAt"] == long["timeoutAt"]
    wait_until(lambda: not [each for each in leftovers(server) if short["id"] in each], "the expired sandbox is gone")


def test_an_orderly_restart_keeps_sandboxes_their_processes_and_their_files(sandyd):
    server = sandyd()
    with Service(server.base_url, server.api_key) as api:
        box = api.create(env={"A": "kept"}, workdir="/srv", priority=3, expose_ports=[3000])
        process = api.start(box["id"], "echo before; sleep 2; echo after")["process_id"]
        api.write(box["id"], "/srv/file", "content")
    assert server.stop() == 0
    server.start()
    with Service(server.base_url, server.api_key) as api:
        found = answer(api.get(box["id"]))
        assert [found[key] for key in ("createdAt", "timeoutAt", "priority", "expose_ports", "image")] == [
            box[key] for key in ("createdAt", "timeoutAt", "priority", "expose_ports", "image")
        ]
        assert api.output(box["id"], "cat file; echo $A; pwd") == "contentkept\n/srv\n"
        path = f"/api/sandboxes/{box['id']}/processes/{process}/output"
        with stream(api.http, "GET", path, params={"offset": 0}) as events:
            seen = list(events)
        assert [each.name for each in seen][-1] == "exit" and seen[-1].data["exitCode"] == 0
        assert b"".join(each.bytes for each in seen[:-1]) == b"before\nafter\n"


def test_a_killed_guest_ends_its_sandbox_and_those_who_wait_are_told(sandyd):
    server = sandyd()
    with Service(server.base_url, server.api_key) as api, ThreadPoolExecutor(2) as pool:
        box, neighbour = api.create()["id"], api.create()["id"]
        api.start(box, "sleep 1000")
        request = {"json": {"command": "touch begun; sleep 60"}}
        waiting = pool.submit(api.http.post, f"/api/sandboxes/{box}/exec", **request)
        wait_until(lambda: api.exec(box, "test -e begun")["exitCode"] == 0, "the command runs")
        process_one(server, box).kill()
        ended = waiting.result(10)
        assert ended.status_code in (404, 410, 500, 502, 503), ended.text
        assert "exitCode" not in ended.json() and "exit_code" not in ended.json()
        wait_until(lambda: api.get(box).status_code == 404, "the sandbox is gone")
        wait_until(lambda: not [each for each in leftovers(server) if box in each], "nothing of it is left")
        assert api.output(neighbour, "echo fine") == "fine\n"


def test_a_guest_killed_while_the_server_is_down_is_a_lost_sandbox_when_it_is_back(sandyd):
    server = sandyd()
    with Service(server.base_url, server.api_key) as api:
        box, neighbour = api.create()["id"], api.create()["id"]
    guest = process_one(server, box)
    server.kill()
    guest.kill()
    server.start()
    with Service(server.base_url, server.api_key) as api:
        wait_until(lambda: api.get(box).status_code == 404, "the sandbox is gone")
        assert api.output(neighbour, "echo fine") == "fine\n"
    wait_until(lambda: not [each for each in leftovers(server) if box in each], "nothing of it is left")


@pytest.mark.parametrize("streaming", [False, True])
def test_a_server_killed_during_an_exec_never_makes_up_an_exit(sandyd, streaming):
    server = sandyd()
    with Service(server.base_url, server.api_key) as api, ThreadPoolExecutor(1) as pool:
        box = api.create()["id"]
        body = {"command": "echo begun; touch begun; sleep 60", "stream": streaming}
        waiting = pool.submit(api.http.post, f"/api/sandboxes/{box}/exec", json=body)
        wait_until(lambda: api.exec(box, "test -e begun")["exitCode"] == 0, "the command runs")
        server.kill()
        with pytest.raises(httpx.TransportError):
            waiting.result(10)
    server.start()
