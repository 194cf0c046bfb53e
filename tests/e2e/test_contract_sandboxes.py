"""Get, list, terminate, delete, refresh, logs; and what belongs to a sandbox that is gone."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from contract import check_sandbox, timestamp
from service import answer, refusal
from waiting import wait_until


def test_get_answers_the_object_of_create(api):
    made = api.create(ttl_seconds=300, expose_ports=[3000], priority="HIGH", preemptable=True)
    found = answer(api.get(made["id"]))
    api.terminate(made["id"])
    check_sandbox(found)
    moving = {"ttl_remaining", "ttlRemaining", "warnings"}
    assert {key: found[key] for key in made if key not in moving} == {key: made[key] for key in made if key not in moving}


def test_list_shows_the_living_sandboxes(api, box):
    body = answer(api.http.get("/api/sandboxes"))
    assert body["total"] == len(body["sandboxes"])
    for each in body["sandboxes"]:
        check_sandbox(each)
    assert box in [each["id"] for each in body["sandboxes"]]


@pytest.mark.parametrize("settings", [{}, {"json": {}}, {"headers": {"Content-Type": "application/json"}}])
def test_terminate_twice_is_harmless_and_get_is_404_at_once(api, settings):
    box = api.create()["id"]
    for _ in range(2):
        body = answer(api.http.post(f"/api/sandboxes/{box}/terminate", **settings))
        assert body["status"] == "terminated" and body["ok"] is True
        assert body["sandboxId"] == body["sandbox_id"] == box
        assert refusal(api.get(box), 404) == "Sandbox not found"
    assert box not in [each["id"] for each in answer(api.http.get("/api/sandboxes"))["sandboxes"]]


def test_delete_is_the_twin_of_terminate(api):
    box = api.create()["id"]
    for _ in range(2):
        assert api.http.delete(f"/api/sandboxes/{box}").status_code in (200, 204)
    assert refusal(api.get(box), 404) == "Sandbox not found"
    assert refusal(api.http.delete("/api/sandboxes/0123456789abcdef"), 404) == "Sandbox not found"


def test_ended_again_at_once_it_answers_200_also_under_load(api):
    def end_twice(number):
        box = api.create()["id"]
        ways = [lambda: api.http.delete(f"/api/sandboxes/{box}"), lambda: api.terminate(box)]
        answers = [ways[number % 2](), ways[number // 2 % 2](), ways[0]()]
        return [(each.status_code, each.text) for each in answers if each.status_code != 200]

    with ThreadPoolExecutor(4) as pool:
        assert [refused for each in pool.map(end_twice, range(120)) for refused in each] == []


def test_a_request_that_meets_the_end_is_told_in_words_clients_know(api):
    """WEB looks for "Sandbox not found", BENCH for that or "sandbox terminated"; both make a new sandbox then."""
    with ThreadPoolExecutor(3) as pool:
        for _ in range(20):
            box = api.create()["id"]
            path = f"/api/sandboxes/{box}"

            def until_gone(request):
                while (response := request()).status_code == 200:
                    pass
                return refusal(response, 404)

            told = [
                pool.submit(until_gone, lambda: api.http.post(f"{path}/exec", json={"command": "true"})),
                pool.submit(until_gone, lambda: api.read(box, "/etc/hostname")),
                pool.submit(until_gone, lambda: api.http.post(f"{path}/refresh")),
            ]
            answer(api.terminate(box))
            assert {each.result(10) for each in told} <= {"Sandbox not found", "sandbox terminated"}


def test_the_whole_family_answers_without_the_prefix(api):
    box = answer(api.http.post("/sandboxes", json={"image": "basic", "ports": [8080], "timeout_seconds": 300}))["sandbox_id"]
    check_sandbox(answer(api.http.get(f"/sandboxes/{box}")))
    assert answer(api.http.post(f"/sandboxes/{box}/exec", json={"command": "echo hi"}))["stdout"] == "hi\n"
    answer(api.http.post(f"/sandboxes/{box}/files/write", json={"path": "a", "content": "b"}))
    assert answer(api.http.get(f"/sandboxes/{box}/files/read", params={"path": "a"}))["content"] == "b"
    assert answer(api.http.get(f"/sandboxes/{box}/files/list"))["files"] == ["a"]
    assert box in [each["id"] for each in answer(api.http.get("/sandboxes"))["sandboxes"]]
    assert api.http.delete(f"/sandboxes/{box}").status_code in (200, 204)
    assert refusal(api.http.get(f"/sandboxes/{box}"), 404) == "Sandbox not found"


def test_refresh_grants_the_original_lifetime_again_or_another(api):
    with api.box(ttl_seconds=100) as box:
        for settings in ({}, {"json": {}}, {"headers": {"Content-Type": "application/json"}}):
            body = answer(api.http.post(f"/api/sandboxes/{box}/refresh", **settings))
            check_sandbox(body)
            assert 95 < body["ttl_remaining"] <= 100
        for seconds in (700, "800", 50.0):
            body = answer(api.http.post(f"/api/sandboxes/{box}/refresh", json={"ttl_seconds": seconds}))
            assert int(seconds) - 5 < body["ttl_remaining"] <= int(seconds)
            assert answer(api.get(box))["timeoutAt"] == body["timeoutAt"]


def test_a_sandbox_ends_by_itself_when_its_lifetime_is_over(api):
    box = api.create(ttl_seconds=1)
    ended = wait_until(lambda: api.get(box["id"]).status_code == 404 and time.time(), "the sandbox ends")
    assert ended >= timestamp(box["timeoutAt"]).timestamp() - 0.1
    assert refusal(api.get(box["id"]), 404) == "Sandbox not found"


def test_a_refreshed_sandbox_outlives_its_first_deadline(api):
    box = api.create(ttl_seconds=2)
    answer(api.http.post(f"/api/sandboxes/{box['id']}/refresh", json={"ttl_seconds": 300}))
    wait_until(lambda: time.time() > timestamp(box["timeoutAt"]).timestamp() + 0.3, "the first deadline passes")
    assert api.output(box["id"], "echo alive") == "alive\n"
    api.terminate(box["id"])


def test_logs_tell_the_life_of_the_sandbox(api, box):
    lines = answer(api.http.get(f"/api/sandboxes/{box}/logs"))["logs"]
    assert lines
    for each in lines:
        assert isinstance(each["source"], str) and isinstance(each["line"], str)
        timestamp(each["timestamp"])
    assert answer(api.http.get(f"/api/sandboxes/{box}/logs", params={"tail": 1}))["logs"] == lines[-1:]


def test_vnc_and_preview_say_what_there_is(api, box):
    vnc = api.http.get(f"/api/sandboxes/{box}/vnc")
    assert vnc.status_code == 409 or answer(vnc)["enabled"] is False
    preview = f"/api/sandboxes/{box}/preview"
    body = answer(api.http.post(preview, json={"port": 3000}))
    assert body["port"] == 3000 and body["ready"] is False and body["url"] and body["previewUrl"] == body["preview_url"]
    assert answer(api.http.post(preview))["port"] == 5173
    api.exec(box, "python3 -m http.server 3000 >/dev/null 2>&1 &")
    wait_until(lambda: answer(api.http.post(preview, json={"port": 3000}))["ready"], "the server inside listens")


GONE = [
    ("GET", "", None), ("DELETE", "", None), ("POST", "/terminate", {}), ("POST", "/refresh", {}), ("GET", "/logs", None),
    ("GET", "/vnc", None), ("POST", "/preview", {}), ("POST", "/exec", {"command": "true"}), ("GET", "/files/read?path=a", None),
    ("POST", "/exec", {"command": "true", "stream": True}), ("POST", "/exec", {"command": "true", "background": True}),
    ("POST", "/files/write", {"path": "a", "content": "b"}), ("GET", "/files/list", None), ("GET", "/processes", None),
    ("GET", "/processes/1", None), ("GET", "/processes/1/output", None), ("POST", "/processes/1/stdin", {"data": "a"}),
    ("POST", "/processes/1/signal", {"signal": "TERM"}), ("GET", "/files?path=a", None), ("PUT", "/files?path=a", None),
    ("DELETE", "/files?path=a", None), ("POST", "/files/mkdir", {"path": "a"}), ("POST", "/files/move", {"from": "a", "to": "b"}),
    ("GET", "/files/stat?path=a", None), ("GET", "/files/archive?path=a", None), ("GET", "/files/watch?path=a", None),
]  # fmt: skip


@pytest.mark.parametrize("method, path, body", GONE)
@pytest.mark.parametrize("box", ["0123456789abcdef", "nonsense", "x" * 300, "%2e%2e"], ids=["unknown", "word", "long", "dots"])
def test_an_unknown_sandbox_is_404_with_the_words_clients_look_for(api, method, path, body, box):
    response = api.http.request(method, f"/api/sandboxes/{box}{path}", json=body)
    assert refusal(response, 404) == "Sandbox not found"
    assert response.json()["error"]["code"] == "sandbox_not_found"
