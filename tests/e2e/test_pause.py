"""Pause and resume, idle timeouts and the hard maximum, on real sandboxes."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from contract import timestamp
from events import collect, stream
from leftovers import leftovers
from service import Service, answer, refusal
from waiting import wait_until

COUNTING = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done"


def pause(api, box: str) -> dict:
    return answer(api.http.post(f"/api/sandboxes/{box}/pause"))


def resume(api, box: str) -> dict:
    return answer(api.http.post(f"/api/sandboxes/{box}/resume"))


def cpu_used(api, box: str) -> float:
    return answer(api.http.get("/api/sandboxes/stats", params={"ids": box}))[0]["cpu_cores_used"]


def count_now(api, box: str, process: int) -> int:
    """The last number that a counting process wrote; 0 before the first."""
    events = collect(api.http, "GET", f"/api/sandboxes/{box}/processes/{process}/output", params={"follow": "false"})
    return int((b"".join(each.bytes for each in events if each.name == "stdout").split() or [b"0"])[-1])


def test_a_paused_sandbox_stands_still_and_goes_on(api, box):
    process = api.start(box, COUNTING)["process_id"]
    wait_until(lambda: count_now(api, box, process) > 3, "it counts")
    for _ in range(2):
        paused = pause(api, box)
        assert (paused["status"], paused["paused"], paused["pausedBy"]) == ("paused", True, "caller")
    cpu_used(api, box)
    # What is counted between two questions is nothing at all: the kernel runs none of its processes.
    assert cpu_used(api, box) == 0
    described = answer(api.get(box))
    assert described["status"] == "paused" and described["ttl_remaining"] > 0
    assert box in [each["id"] for each in answer(api.http.get("/api/sandboxes"))["sandboxes"]]
    assert answer(api.http.get(f"/api/sandboxes/{box}/logs"))["logs"][-1]["line"] == "paused"
    for _ in range(2):
        assert resume(api, box)["status"] == "running"
    before = count_now(api, box, process)
    wait_until(lambda: count_now(api, box, process) > before, "it counts on")
    assert api.output(box, "echo alive") == "alive\n"


def test_using_what_a_caller_paused_is_refused_with_a_way_out(api, box):
    pause(api, box)
    for method, path, body in [
        ("POST", "/exec", {"command": "true"}), ("GET", "/files/read?path=/etc/passwd", None), ("GET", "/processes", None),
        ("POST", "/files/write", {"path": "a", "content": "b"}), ("POST", "/preview", {"port": 80}), ("GET", "/files/list", None),
    ]:
        refused = api.http.request(method, f"/api/sandboxes/{box}{path}", json=body)
        assert "/resume" in refusal(refused, 409)
        assert refused.json()["error"]["code"] == "sandbox_paused"
    resume(api, box)
    assert api.output(box, "echo alive") == "alive\n"


def test_a_running_command_and_its_stream_stall_and_go_on(api, box):
    with ThreadPoolExecutor(1) as pool:
        command = pool.submit(api.exec, box, "for i in $(seq 40); do echo $i; sleep 0.02; done")
        with stream(api.http, "POST", f"/api/sandboxes/{box}/exec", json={"command": COUNTING, "stream": True}) as events:
            assert next(events).name == "stdout"
            pause(api, box)
            resume(api, box)
            seen = b"".join(next(events).bytes for _ in range(10))
            assert seen.split() == sorted(seen.split(), key=int)
        finished = command.result(60)
    assert (finished["exitCode"], finished["stdout"]) == (0, "".join(f"{i}\n" for i in range(1, 41)))


def test_timers_inside_behave_after_a_pause(api, box):
    process = api.start(box, "date +%s%N > begun; sleep 0.5; date +%s%N > ended")["process_id"]
    wait_until(lambda: api.read(box, "begun").status_code == 200, "the clock was read")
    pause(api, box)
    time.sleep(1.0)  # the time that passes is what is tested
    resume(api, box)

    def exited():
        return answer(api.http.get(f"/api/sandboxes/{box}/processes/{process}"))["status"] == "exited"

    wait_until(exited, "the timer fired")
    slept = (int(api.output(box, "cat ended")) - int(api.output(box, "cat begun"))) / 1e9
    assert slept >= 0.5  # no earlier than asked
    host, inside = time.time(), float(api.output(box, "date +%s.%N"))
    assert abs(host - inside) < 5


def test_a_paused_sandbox_is_terminated(api):
    box = api.create(ttl_seconds=600)["id"]
    api.start(box, COUNTING)
    pause(api, box)
    assert answer(api.terminate(box))["reason"] == "terminated"
    refusal(api.get(box), 404)


def test_a_paused_child_ends_with_its_parent(api):
    parent = api.create(ttl_seconds=600)["id"]
    child = api.create(ttl_seconds=600, parent_sandbox_id=parent)["id"]
    pause(api, child)
    assert answer(api.get(parent))["status"] == "running"
    answer(api.terminate(parent))
    refusal(api.get(child), 404)


def test_the_lease_of_a_paused_sandbox_goes_on(api):
    box = api.create(ttl_seconds=2)["id"]
    pause(api, box)
    wait_until(lambda: api.get(box).status_code == 404, "it expired")


def test_pausing_is_told_in_the_events(api):
    with stream(api.http, "GET", "/api/events", params={"after": "latest", "types": "sandbox.paused,sandbox.resumed"}) as told:
        with api.box() as box:
            pause(api, box)
            resume(api, box)
            mine = (each for each in told if each.data["sandbox_id"] == box)
            assert [next(mine).name, next(mine).name] == ["sandbox.paused", "sandbox.resumed"]


def test_a_race_of_pause_resume_and_terminate_has_one_outcome(api):
    for _ in range(8):
        box = api.create(ttl_seconds=600)["id"]
        start = threading.Barrier(4)

        def go(order):
            start.wait()
            return api.http.post(f"/api/sandboxes/{box}/{order}")

        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(go, ["pause", "resume", "pause", "terminate"]))
        assert all(each.status_code in (200, 404) for each in answers), [each.text for each in answers]
        assert answers[-1].status_code == 200
        refusal(api.get(box), 404)


@pytest.mark.parametrize("frozen_past_the_guests_lease", [False, True])
def test_a_paused_sandbox_survives_a_kill_of_the_server(sandyd, frozen_past_the_guests_lease):
    server = sandyd("--guest-lease", "2s" if frozen_past_the_guests_lease else "10m")
    with Service(server.base_url, server.api_key) as api:
        box = api.create(ttl_seconds=600)["id"]
        process = api.start(box, COUNTING)["process_id"]
        wait_until(lambda: count_now(api, box, process) > 3, "it counts")
        pause(api, box)
    server.kill()
    if frozen_past_the_guests_lease:
        time.sleep(2.5)  # the guest's clock runs on meanwhile
    server.start()
    with Service(server.base_url, server.api_key) as api:
        described = answer(api.get(box))
        assert (described["status"], described["paused"]) == ("paused", True)
        refusal(api.http.post(f"/api/sandboxes/{box}/exec", json={"command": "true"}), 409)
        resume(api, box)
        before = count_now(api, box, process)
        wait_until(lambda: count_now(api, box, process) > before, "it counts on")
        pause(api, box)
        answer(api.terminate(box))
    assert leftovers(server) == [] or server.is_running()


def test_a_server_killed_in_the_middle_of_pausing_leaves_one_truth(sandyd):
    server = sandyd()
    for delay in (0.0, 0.002, 0.005):
        with Service(server.base_url, server.api_key) as api:
            box = api.create(ttl_seconds=600)["id"]
            ordered = threading.Thread(target=lambda: _ignoring_a_cut(pause, api, box))
            ordered.start()
            time.sleep(delay)
            server.kill()
            ordered.join()
        server.start()
        with Service(server.base_url, server.api_key) as api:
            if answer(api.get(box))["paused"]:
                resume(api, box)
            assert api.output(box, "echo alive") == "alive\n"
            answer(api.terminate(box))


def _ignoring_a_cut(order, *arguments):
    try:
        order(*arguments)
    except Exception:  # the server was killed
        pass


def test_an_idle_sandbox_ends_and_the_log_says_why(api):
    made = api.create(ttl_seconds=600, idle_timeout_seconds=1)
    assert made["idleTimeoutSeconds"] == 1
    wait_until(lambda: api.get(made["id"]).status_code == 404, "it ended")
    assert answer(api.terminate(made["id"]))["reason"] == "idle"


@pytest.mark.parametrize("busy", ["a command", "background output", "an open stream"])
def test_a_sandbox_that_works_is_not_idle(api, busy):
    with api.box(idle_timeout=1) as box:
        begun = time.monotonic()
        if busy == "a command":
            assert api.output(box, "sleep 2.5; echo done") == "done\n"
        elif busy == "background output":
            api.start(box, "while :; do echo word; sleep 0.1; done")
        else:
            quiet = api.start(box, "sleep 60")["process_id"]
            with stream(api.http, "GET", f"/api/sandboxes/{box}/processes/{quiet}/output", params={"follow": "true"}):
                wait_until(lambda: time.monotonic() > begun + 2.5, "more than twice the timeout")
        wait_until(lambda: time.monotonic() > begun + 2.5, "more than twice the timeout")
        assert api.get(box).status_code == 200
        if busy != "background output":
            wait_until(lambda: api.get(box).status_code == 404, "it ended when it had nothing to do")


def test_a_silent_background_process_is_idle(api):
    box = api.create(ttl_seconds=600, idle_timeout=1)["id"]
    api.start(box, "sleep 600")
    wait_until(lambda: api.get(box).status_code == 404, "it ended")


def test_an_idle_sandbox_is_paused_and_wakes_by_its_next_use(api):
    with api.box(idleTimeoutSeconds=1, pauseOnIdle=True) as box:
        api.output(box, "echo kept > /workspace/file")
        for use in (lambda: api.output(box, "cat file"), lambda: api.read(box, "file").json()["content"]):
            asleep = wait_until(lambda: (now := answer(api.get(box)))["paused"] and now, "it is paused")
            assert (asleep["status"], asleep["paused_by"]) == ("paused", "idle")
            assert use() == "kept\n"
            assert answer(api.get(box))["status"] == "running"


def test_no_refresh_gets_beyond_the_hard_maximum(sandyd):
    server = sandyd("--max-lifetime", "4s")
    with Service(server.base_url, server.api_key) as api:
        made = api.create(ttl_seconds=600)
        assert made["ttl_seconds"] == 4 and made["expires_at"] == made["latest_expires_at"]
        assert any("lifetime" in sentence for sentence in made["warnings"])
        box = made["id"]
        latest = timestamp(made["latestExpiresAt"])
        renewed = answer(api.http.post(f"/api/sandboxes/{box}/refresh", json={"ttl_seconds": 600}))
        assert timestamp(renewed["expires_at"]) == latest and renewed["warnings"]
        server.kill()
    server.start()
    with Service(server.base_url, server.api_key) as api:
        wait_until(lambda: api.get(box).status_code == 404, "it ended")
        assert answer(api.terminate(box))["reason"] == "expired"
