"""A machine that is full: who waits, who is refused, and who ends so that somebody more important gets a place."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from events import stream
from leftovers import leftovers
from service import Service, answer, refusal
from waiting import wait_until


@pytest.fixture
def full(sandyd):
    """Starts a server for `most` sandboxes; gives a client of it."""
    clients = []

    def start(most, *arguments):
        server = sandyd("--max-sandboxes", most, *arguments)
        clients.append(Service(server.base_url, server.api_key, limits=httpx.Limits(max_connections=150)))
        clients[-1].server = server
        return clients[-1]

    yield start
    for each in clients:
        each.close()


def resources(api):
    return answer(api.http.get("/api/resources"))


def test_a_more_important_creation_preempts_and_all_who_used_the_victim_are_told(full):
    api = full(2)
    low = api.create(priority="LOW", preemptable=True)["id"]
    kept = api.create(priority="LOW")["id"]
    told = []

    def read_stream():
        body = {"command": "echo begun; sleep 60", "stream": True}
        with stream(api.http, "POST", f"/api/sandboxes/{low}/exec", json=body) as events:
            for each in events:
                told.append(each)

    reader = threading.Thread(target=read_stream)
    with ThreadPoolExecutor(1) as pool:
        reader.start()
        running = pool.submit(api.http.post, f"/api/sandboxes/{low}/exec", json={"command": "touch begun; sleep 60"})
        wait_until(lambda: told and api.exec(low, "test -e begun")["exitCode"] == 0, "both commands run")
        high = api.create(priority="HIGH")
        assert "sandbox preempted" in refusal(running.result(10), 404)
        reader.join(10)
    assert told[-1].name == "error" and "sandbox preempted" in str(told[-1].data), told
    assert all(each.name != "exit" for each in told)
    refusal(api.get(low), 404)
    assert answer(api.terminate(low))
    assert api.output(kept, "echo alive") == api.output(high["id"], "echo alive") == "alive\n"
    events = answer(api.http.get("/api/events", params={"sandbox_id": low}, headers={"Accept": "application/json"}))["events"]
    assert [each["reason"] for each in events if each["type"] == "sandbox.ended"] == ["preempted"]
    metrics = api.http.get("/metrics").text
    assert 'sandy_preemptions_total{cause="creation"} 1\n' in metrics
    assert 'sandy_sandboxes_ended_total{reason="preempted"} 1\n' in metrics


def test_short_of_memory_preemptable_sandboxes_end_and_nothing_is_created(sandyd):
    server = sandyd("--create-wait", "200ms")
    with Service(server.base_url, server.api_key) as api:
        kept = api.create(priority="LOW")["id"]
        ended = [api.create(preemptable=True)["id"] for _ in range(2)]
    assert server.stop() == 0
    server.arguments += ("--memory-reserve", "100Ti")  # more than any machine has left
    server.start()
    with Service(server.base_url, server.api_key) as api:
        wait_until(lambda: all(api.get(box).status_code == 404 for box in ended), "both have ended", 20)
        assert api.output(kept, "echo alive") == "alive\n"
        response = api.http.post("/api/sandboxes", json={"priority": "CRITICAL"})
        assert refusal(response, 503) == "This machine is short of memory" and response.headers["Retry-After"]
        assert 'sandy_preemptions_total{cause="memory"} 2\n' in api.http.get("/metrics").text


def test_without_anybody_to_preempt_a_creation_waits_and_is_refused(full):
    api = full(1, "--create-wait", "300ms")
    api.create(priority="LOW")
    started = time.monotonic()
    response = api.http.post("/api/sandboxes", json={"priority": "CRITICAL"})
    assert refusal(response, 503) == "All sandboxes of this machine are in use"
    assert int(response.headers["Retry-After"]) > 0
    assert 0.3 <= time.monotonic() - started < 5
    said = resources(api)
    assert said["canCreateSandbox"] is False and said["rejectReason"] == "All sandboxes of this machine are in use"


def test_who_waits_gets_the_place_of_one_that_ends_and_resources_show_it(full):
    api = full(1, "--create-wait", "30s")
    first = api.create()["id"]
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(api.create)
        wait_until(lambda: resources(api)["waitingCreations"] == 1, "the creation waits")
        said = resources(api)["room"]
        assert said["sandboxes"]["promised"] == 1 and said["sandboxes"]["left"] == 0
        assert said["memory"]["promised"] == 1 << 30 and said["cpu"]["promised"] == 1.0
        for share in said.values():
            assert share["total"] > 0 and share["promisable"] >= share["promised"]
        api.terminate(first)
        made = waits.result(20)["id"]
    assert api.output(made, "echo ok") == "ok\n"


def test_a_client_that_hangs_up_leaves_the_line(full):
    api = full(1, "--create-wait", "50s")
    api.create()
    with httpx.Client(base_url=str(api.http.base_url), headers=api.http.headers) as impatient:
        with pytest.raises(httpx.ReadTimeout):
            impatient.post("/api/sandboxes", json={}, timeout=0.5)
    wait_until(lambda: resources(api)["waitingCreations"] == 0, "nobody waits")


def test_of_a_hundred_creations_at_once_each_is_ready_or_refused_and_nothing_is_left(full):
    api = full(40, "--create-queue", 30, "--create-wait", "5s")
    with ThreadPoolExecutor(100) as pool:
        responses = list(pool.map(lambda _: api.http.post("/api/sandboxes", json={"ttl_seconds": 300}), range(100)))
        made = [each.json()["id"] for each in responses if each.status_code == 200]
        for each in responses:
            if each.status_code != 200:
                refusal(each, 503)
                assert int(each.headers["Retry-After"]) > 0
        assert 30 <= len(made) <= 40 and len(set(made)) == len(made)
        assert list(pool.map(lambda box: api.output(box, "echo ok"), made)) == ["ok\n"] * len(made)
        list(pool.map(api.terminate, made))
    said = resources(api)
    assert (said["waitingCreations"], said["runningCreations"], said["sandboxCount"]) == (0, 0, 0)
    wait_until(lambda: leftovers(api.server) == [], "nothing is left")
