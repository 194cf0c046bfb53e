"""Sandboxes that use up everything they have: the damage stays inside, and is told."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from service import answer, refusal
from waiting import wait_until

MEMORY_HOG = "python3 -c 'data = bytearray(600_000_000)'"


@pytest.fixture
def neighbour(api):
    """Another sandbox, which must not notice anything."""
    with api.box() as box:
        yield box
        assert api.output(box, "echo fine") == "fine\n"


def test_a_command_that_takes_too_much_memory_is_137_and_the_sandbox_lives(api, neighbour):
    with api.box(resources={"memory_mb": 256}) as box:
        process = api.start(box, "sleep 1000")["process_id"]
        for _ in range(3):
            assert api.exec(box, MEMORY_HOG)["exitCode"] == 137
        assert api.output(box, "echo alive") == "alive\n"
        assert answer(api.http.get(f"/api/sandboxes/{box}/processes/{process}"))["status"] == "running"


def test_a_background_process_that_takes_too_much_memory_ends_with_its_true_signal(api):
    with api.box(resources={"memory_mb": 256}) as box:
        process = api.start(box, f"exec {MEMORY_HOG}")["process_id"]
        path = f"/api/sandboxes/{box}/processes/{process}"
        found = wait_until(lambda: (now := answer(api.http.get(path)))["status"] != "running" and now, "it is killed")
        assert found["exitCode"] == 137


def test_memory_filled_through_tmp_does_not_end_the_sandbox(api, neighbour):
    with api.box(resources={"memory_mb": 256}) as box:
        result = api.exec(box, "head -c 2000000000 /dev/zero > /tmp/a; head -c 2000000000 /dev/zero > /dev/shm/b", timeoutMs=60000)
        assert result["exitCode"] != 0
        assert api.output(box, "rm -f /tmp/a /dev/shm/b; echo alive") == "alive\n"


def test_a_full_disk_is_an_error_inside_and_a_clear_refusal_outside(api, neighbour):
    with api.box(resources={"disk_gb": 0.1}) as box:
        result = api.exec(box, "head -c 300000000 /dev/zero > /workspace/fill")
        assert result["exitCode"] != 0 and "No space left" in result["stderr"]
        body = {"path": "more", "content": "x" * 1_000_000}
        response = api.http.post(f"/api/sandboxes/{box}/files/write", json=body)
        assert refusal(response, (400, 409, 413, 500, 507)) and response.json()["error"]["code"] == "disk_full"
        response = api.http.put(f"/api/sandboxes/{box}/files", params={"path": "more"}, content=b"x" * 1_000_000)
        assert response.json()["error"]["code"] == "disk_full"
        assert api.output(box, "test ! -e more && rm fill && ls -A") == ""
        assert api.write(box, "more", "x" * 1_000_000)["size"] == 1_000_000


def test_running_out_of_inodes_is_contained(api, neighbour):
    with api.box(resources={"disk_gb": 0.1}) as box:
        command = "python3 -c 'import os\nfor i in range(10**6): os.close(os.open(f\"/workspace/{i}\", os.O_CREAT))'"
        result = api.exec(box, command, timeoutMs=120000)
        assert result["exitCode"] == 1 and "No space left" in result["stderr"]
        assert api.output(box, "find /workspace -delete -mindepth 1 2>/dev/null; echo alive") == "alive\n"


def test_a_fork_bomb_stays_inside_and_can_be_terminated(api, neighbour):
    box = api.create()["id"]
    api.exec(box, "nohup bash -c 'bomb() { bomb | bomb & }; bomb' > /dev/null 2>&1 &")
    stats = "/api/sandboxes/stats"

    def refused():
        response = api.http.post(f"/api/sandboxes/{box}/exec", json={"command": "true"})
        return response.status_code != 200 or response.json()["exitCode"] != 0

    wait_until(refused, "the limit of processes is reached", 30)
    started = time.monotonic()
    assert api.output(neighbour, "echo quick") == "quick\n" and answer(api.http.get(stats))
    assert time.monotonic() - started < 5
    answer(api.terminate(box))
    assert api.get(box).status_code == 404


def test_a_command_that_cannot_start_for_the_limit_of_processes_says_so(api):
    with api.box() as box:
        hold = "import os, time\ntry:\n  while True:\n    if os.fork() == 0: time.sleep(1000)\nexcept OSError: print('full', flush=True); time.sleep(1000)"
        api.write(box, "hold.py", hold)
        process = api.start(box, "exec python3 hold.py")["process_id"]
        path = f"/api/sandboxes/{box}/processes/{process}"
        wait_until(lambda: answer(api.http.get(path))["output_bytes"] > 0, "all processes are taken", 30)
        response = api.http.post(f"/api/sandboxes/{box}/exec", json={"command": "true"})
        assert response.json()["error"]["code"] == "limit_reached", response.text


def test_output_without_end_is_bounded_and_the_truth_is_told(api, server):
    with api.box() as box:
        result = api.exec(box, "head -c 80000000 /dev/zero | tr '\\0' y; echo trouble >&2")
        assert result["exitCode"] == 0 and result["stderr"] == "trouble\n"
        assert len(result["stdout"]) == 64 * 1024 * 1024 and set(result["stdout"]) == {"y"}
        assert result["truncated"] is True and result["stdoutTruncatedBytes"] == 80_000_000 - 64 * 1024 * 1024


def test_many_sandboxes_under_pressure_at_once_leave_the_server_quick(api, neighbour):
    with ThreadPoolExecutor(4) as pool:
        boxes = [each["id"] for each in pool.map(lambda _: api.create(resources={"memory_mb": 128}), range(4))]
        try:
            busy = [pool.submit(api.exec, box, "timeout 3 bash -c 'while :; do :; done'; yes | head -c 50000000 | tail -c 1") for box in boxes]
            started = time.monotonic()
            answer(api.http.get("/api/health"))
            assert time.monotonic() - started < 1
            assert [each.result(60)["exitCode"] for each in busy] == [0] * 4
        finally:
            for box in boxes:
                api.terminate(box)
