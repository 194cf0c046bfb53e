"""Containers in sandboxes, that answer chats: what they are told, what they do, and what becomes of them."""

import contextlib
import json
import time
from pathlib import Path

import httpx
import pytest
from leftovers import leftovers
from oci_archive import busybox, directory, oci_archive, tar
from service import Service, answer, refusal
from waiting import wait_until, wait_until_empty

MODEL = (Path(__file__).parent / "model_container.py").read_text()
SERVE = ["python3", "-c", MODEL]
DONE = "data: [DONE]\n\n"


def path(box, rest=""):
    return f"/api/sandboxes/{box}/container{rest}"


def run(api, box, **order):
    return api.http.post(path(box, "/run"), json={"image": "basic", "command": SERVE, **order})


def chat(api, box, container, words, stream=False, **more):
    body = {"model": "mine", "stream": stream, "messages": [{"role": "user", "content": words}]}
    return api.http.post(path(box, f"/{container}/chat"), json=body, **more)


@pytest.fixture(scope="module")
def home(api):
    """A sandbox with a container that serves, for tests that leave both as they are."""
    with api.box() as box:
        made = answer(run(api, box, env={"EXTRA": "1", "JANUS_LOG_LEVEL": "DEBUG"}, llm_api_key="sk-secret", timeout=20))
        yield box, made


def test_a_container_is_answered_when_it_is_healthy(api, home):
    box, made = home
    assert made["id"] == made["container_id"] == made["containerId"]
    assert made["status"] == "running" and made["health"] == "healthy" and made["port"] == 8080 and made["image"] == "basic"
    assert made["endpoint"] == "http://localhost:8080/v1/chat/completions"
    # The endpoint is valid inside the sandbox, and so is /health beside it.
    assert json.loads(api.output(box, "curl -s " + made["endpoint"].replace("v1/chat/completions", "health"))) == {"status": "ok"}
    assert [each["id"] for each in answer(api.http.get(path(box)))["containers"]] == [made["id"]]
    assert answer(api.http.get(path(box, f"/{made['id']}")))["health"] == "healthy"
    assert answer(api.http.get(path(box, f"/{made['id']}/health"))) == {"status": "ok"}
    assert answer(api.http.get(path(box, f"/{made['id']}/v1/models")))["data"] == [{"id": "mine"}]


def test_a_chat_reaches_the_container_and_the_callers_key_does_not(api, home):
    box, made = home
    told = answer(chat(api, box, made["id"], "hello there", headers={"X-Request-Id": "r-1"}))
    assert told["choices"][0]["message"]["content"] == "hello there"
    assert "authorization" not in told["headers"] and told["headers"]["x-request-id"] == "r-1"
    env = told["env"]
    assert env["JANUS_PLATFORM_URL"] == "http://platform-proxy:8000" and env["JANUS_LLM_API_KEY"] == "sk-secret"
    assert env["JANUS_MEMORY_URL"] == "http://platform-proxy:8000/memory" and env["JANUS_TIMEOUT"] == "20"
    assert env["JANUS_LOG_LEVEL"] == "DEBUG" and env["EXTRA"] == "1" and env["PORT"] == "8080"
    assert env["SANDY_BASE_URL"] and env["SANDY_API_KEY"]
    shown = api.http.get(path(box, f"/{made['id']}")).text + api.http.get(path(box)).text
    assert "sk-secret" not in shown


def test_status_and_type_of_an_answer_are_the_containers(api, home):
    box, made = home
    refused = chat(api, box, made["id"], "refuse")
    assert refused.status_code == 429 and refused.json()["error"]["message"] == "enough"
    streamed = chat(api, box, made["id"], "one two", stream=True)
    assert streamed.headers["Content-Type"].startswith("text/event-stream")
    assert streamed.text.count("data: ") == 3 and streamed.text.endswith(DONE)


def test_streams_end_with_one_done_whatever_happens(api, home):
    box, made = home
    assert chat(api, box, made["id"], "unended", stream=True).text.count("[DONE]") == 1
    long = chat(api, box, made["id"], "long", stream=True).text
    assert len(long) > 10 << 20 and long.endswith(DONE)
    garbage = chat(api, box, made["id"], "garbage", stream=True).text
    assert garbage.endswith(DONE) and '"error"' in garbage


def test_a_silent_stream_is_kept_alive(api, home):
    box, made = home
    text = chat(api, box, made["id"], "slow", stream=True).text
    begin, end = text.index("begin"), text.index("end")
    assert text[begin:end].count(": ping") in (2, 3) and text.endswith(DONE)


def test_garbage_instead_of_an_answer_is_told_as_such(api, home):
    box, made = home
    refusal(chat(api, box, made["id"], "garbage"), 502)


def test_a_container_that_hangs_is_given_up_after_its_time(api):
    with api.box() as box:
        made = answer(run(api, box, timeout=2))
        assert "2 s" in refusal(chat(api, box, made["id"], "hang"), 504)
        text = chat(api, box, made["id"], "hang", stream=True).text
        assert '"deadline_exceeded"' in text and text.endswith(DONE)


def test_a_container_that_never_falls_silent_is_given_up_after_its_time(api):
    with api.box() as box:
        made = answer(run(api, box, timeout=2))
        begun = time.monotonic()
        text = chat(api, box, made["id"], "dribble", stream=True).text
        assert '"deadline_exceeded"' in text and text.endswith(DONE) and 1.5 < time.monotonic() - begun < 5
        begun = time.monotonic()
        with pytest.raises(httpx.RemoteProtocolError):  # its length was told: it can only be cut
            chat(api, box, made["id"], "dribble")
        assert 1.5 < time.monotonic() - begun < 5


def test_a_stop_ends_what_the_program_left_running(api):
    with api.box() as box:
        stubborn = ["sh", "-c", "(trap '' TERM; exec python3 -c \"$MODEL\") & wait"]
        made = answer(run(api, box, command=stubborn, env={"MODEL": MODEL}))
        answer(api.http.post(path(box, f"/{made['id']}/stop"), json={"grace": 5}))
        assert api.output(box, "curl -s localhost:8080/health || echo nobody").strip() == "nobody"
        assert answer(run(api, box))["health"] == "healthy"


def test_a_container_that_dies_in_mid_stream_says_so_and_is_started_again(api):
    with api.box() as box:
        made = answer(run(api, box))
        text = chat(api, box, made["id"], "die", stream=True).text
        assert "begin" in text and '"error"' in text and text.endswith(DONE)

        def is_back():
            now = answer(api.http.get(path(box, f"/{made['id']}")))
            return now["restarts"] == 1 and now["health"] == "healthy"

        wait_until(is_back, "it is healthy again", 20)
        assert answer(chat(api, box, made["id"], "back"))["choices"]


def test_logs_tell_what_it_printed(api, home):
    box, made = home
    logs = answer(api.http.get(path(box, f"/{made['id']}/logs")))
    assert logs["lines"][0] == "model starts"
    assert len(answer(api.http.get(path(box, f"/{made['id']}/logs"), params={"tail": 1}))["lines"]) == 1


def test_a_second_container_gets_another_port(api, home):
    box, _ = home
    other = answer(run(api, box, name="second"))
    try:
        assert other["port"] == 8081 and other["name"] == "second"
        assert answer(chat(api, box, other["id"], "hello"))["env"]["PORT"] == "8081"
    finally:
        assert answer(api.http.delete(path(box, f"/{other['id']}")))["status"] == "exited"
    assert refusal(api.http.get(path(box, f"/{other['id']}")), 404)


def test_one_that_never_is_healthy_is_gone_when_that_is_told(api):
    with api.box() as box:
        refused = run(api, box, command=["sh", "-c", "echo no model of this name; exit 7"])
        assert "no model of this name" in refusal(refused, 502)
        assert answer(api.http.get(path(box)))["containers"] == []
        begun = time.monotonic()
        wrong_port = run(api, box, command=["python3", "-c", MODEL, "9999"])
        assert "model starts" in refusal(wrong_port, 504) and 29 < time.monotonic() - begun < 45
        assert answer(api.http.get(path(box)))["containers"] == []


def test_images_that_cannot_be_had_and_names_that_are_none(api, home):
    box, _ = home
    assert "no-such-image" in refusal(run(api, box, image="no-such-image"), 502)
    refusal(run(api, box, image="../../etc"), (400, 422))
    refusal(run(api, box, command=None), 400)  # the image says nothing of what it runs


def test_a_stopped_container_keeps_its_log(api):
    with api.box() as box:
        made = answer(run(api, box, restart_policy="always"))
        stopped = answer(api.http.post(path(box, f"/{made['id']}/stop"), json={"grace": 2}))
        assert stopped["status"] == "exited" and stopped["health"] == "none" and stopped["exit_code"] == 143
        assert "model starts" in answer(api.http.get(path(box, f"/{made['id']}/logs")))["lines"]
        refusal(chat(api, box, made["id"], "hello"), 502)


def test_a_container_stands_still_and_ends_with_its_sandbox(api, server):
    with api.box() as box:
        made = answer(run(api, box))
        answer(api.http.post(f"/api/sandboxes/{box}/pause"))
        refusal(chat(api, box, made["id"], "hello"), 409)
        answer(api.http.post(f"/api/sandboxes/{box}/resume"))
        assert answer(chat(api, box, made["id"], "hello"))["choices"]
    refusal(api.http.get(path(box, f"/{made['id']}")), 404)


def test_a_container_that_nobody_asks_anything_does_not_keep_its_sandbox(api):
    box = api.create(ttl_seconds=600, idle_timeout_seconds=3)["id"]
    answer(run(api, box))
    wait_until(lambda: api.get(box).status_code == 404, "it ends, unused", 15)


def test_containers_outlive_the_server(sandyd):
    server = sandyd("--prewarm-count", "0")
    with Service(server.base_url, server.api_key) as api:
        box = api.create(ttl_seconds=600)["id"]
        made = answer(run(api, box))
        started = answer(api.http.get(path(box, f"/{made['id']}")))["started_at"]
        server.kill()
        server.start()
    with Service(server.base_url, server.api_key) as api:
        found = wait_until(lambda: (each := answer(api.http.get(path(box, f"/{made['id']}"))))["health"] == "healthy" and each, "found")
        assert found["started_at"] == started and found["restarts"] == 0
        assert answer(chat(api, box, made["id"], "still here"))["choices"]
        assert "model starts" in answer(api.http.get(path(box, f"/{made['id']}/logs")))["lines"]
        api.terminate(box)
        wait_until_empty(lambda: leftovers(server), "nothing is left")


def test_a_kill_in_the_middle_of_making_one_leaves_nothing(sandyd):
    server = sandyd("--prewarm-count", "0")
    box = None
    for moment in range(6):
        with Service(server.base_url, server.api_key) as api:
            box = box or api.create(ttl_seconds=600)["id"]
            with contextlib.suppress(httpx.TimeoutException):
                api.http.post(path(box, "/run"), json={"image": "basic", "command": SERVE}, timeout=0.01 + 0.04 * moment)
            server.kill()
            server.start()
    with Service(server.base_url, server.api_key) as api:
        for each in answer(api.http.get(path(box)))["containers"]:
            gone = api.http.delete(path(box, f"/{each['id']}"))
            assert gone.status_code in (200, 404), gone.text  # one that was half made is removed by the server
        wait_until(lambda: answer(api.http.get(path(box)))["containers"] == [], "all are gone")
        api.terminate(box)
        wait_until_empty(lambda: leftovers(server), "nothing is left")


KEYS = """
[[api_keys]]
tenant = "operator"
key = "operators-key"
admin = true
"""


def test_an_imported_image_runs_as_its_user_what_it_says(sandyd, tmp_path, monkeypatch):
    site = tar(
        directory("etc"), ("etc/passwd", b"root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/srv:/bin/sh\n"),
        directory("srv"), ("srv/health", b"ok\n"),
        ("serve", b"#!/bin/sh\nid -u; id -g; pwd; echo $HOME; echo $GREETING; exec busybox httpd -f -p $PORT -h /srv\n", {"mode": 0o755}),
    )  # fmt: skip
    (tmp_path / "config.toml").write_text(KEYS)
    (tmp_path / "store").mkdir()
    monkeypatch.setenv("SANDY_IMAGE_DIR", str(tmp_path / "store"))
    server = sandyd("--config", tmp_path / "config.toml", "--prewarm-count", "0")
    with Service(server.base_url, "operators-key") as api:
        archive = oci_archive([busybox(), site], Entrypoint=["/serve"], User="app", WorkingDir="/srv", Env=["PATH=/bin", "GREETING=hello"])
        answer(api.http.post("/api/images", params={"name": "mine"}, content=archive))
        with api.box(image="mine", resources={"memory_mb": 128, "disk_gb": 0.2}) as box:
            made = answer(run(api, box, image="mine", command=None))
            lines = answer(api.http.get(path(box, f"/{made['id']}/logs")))["lines"]
            assert lines == ["1000", "1001", "/srv", "/srv", "hello"]
            assert api.http.get(path(box, f"/{made['id']}/health")).text == "ok\n"
        api.http.delete("/api/images/mine")
