"""Sandboxes made by Docker's engine: asked for by their upstream, otherwise like any other."""

import json
import os
from pathlib import Path

import httpx
import pytest
from docker_engine import Engine
from leftovers import leftovers
from running_server import NotStarted, Server
from service import Service, answer
from test_containers import DONE, chat, path, run
from waiting import wait_until

# The first sandbox of an image waits until the engine has the image.
FIRST_SECONDS = 240


@pytest.fixture(scope="module")
def engine():
    with Engine() as running:
        yield running


@pytest.fixture(scope="module")
def docked_server(tmp_path_factory, engine):
    """A server that may use the engine: one for all tests, because each brings images of its own into the engine."""
    server = Server(tmp_path_factory.mktemp("s") / "data", settings(engine)).start()
    yield server
    server.terminate_all()
    assert server.stop() == 0
    assert leftovers(server) == [] and containers(engine) == []


@pytest.fixture
def docked(docked_server):
    """It, and its API."""
    with service_of(docked_server) as api:
        yield docked_server, api


def settings(engine, *more) -> tuple:
    return "--docker-socket", engine.socket, "--create-timeout", f"{FIRST_SECONDS}s", *more


def service_of(server) -> Service:
    service = Service(server.base_url, server.api_key)
    service.http.timeout = httpx.Timeout(FIRST_SECONDS)
    return service


def containers(engine) -> list:
    with httpx.Client(transport=httpx.HTTPTransport(uds=engine.socket), base_url="http://engine") as link:
        return [each["Names"] for each in link.get("/containers/json", params={"all": 1}).json()]


def test_a_sandbox_of_docker_is_one_like_any_other(docked, engine):
    server, api = docked
    made = api.create(upstream="docker-primary", env={"GREETING": "hello"}, expose_ports=[8000])
    box = made["id"]
    assert (made["runtime"], made["dockerSocket"], made["upstream"]) == ("docker", False, "docker-primary")
    assert len(containers(engine)) == 1

    assert api.output(box, "echo $GREETING; pwd; id -u") == "hello\n/workspace\n0\n"
    assert api.exec(box, "exit 7")["exitCode"] == 7
    api.write(box, "notes/a.txt", "content\n")
    assert api.output(box, "cat /workspace/notes/a.txt") == "content\n"
    assert answer(api.read(box, "notes/a.txt"))["content"] == "content\n"
    api.start(box, "python3 -m http.server 8000 --directory /workspace/notes")
    page = f"/api/sandboxes/{box}/proxy/8000/a.txt"
    wait_until(lambda: api.http.get(page).text == "content\n", "the sandbox serves the file")
    # The way into the server's API from inside, and a command that reaches nobody.
    assert api.output(box, "curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:7330/api/health") == "200"
    assert api.exec(box, "curl -sf -m 5 http://192.0.2.1/")["exitCode"] != 0
    stats = answer(api.http.get("/api/sandboxes/stats", params={"ids": box}))[0]
    assert stats["memory_usage_bytes"] > 0 and stats["disk_bytes"] > 0

    answer(api.http.post(f"/api/sandboxes/{box}/pause"))
    answer(api.http.post(f"/api/sandboxes/{box}/resume"))
    assert api.output(box, "echo on") == "on\n"
    answer(api.http.post(f"/api/sandboxes/{box}/snapshot", json={"name": "kept"}))
    answer(api.terminate(box))
    assert containers(engine) == []
    for wish in ({"upstream": "docker-primary"}, {}):  # layers are of no driver
        again = api.create(image="kept", **wish)
        assert again["runtime"] == ("docker" if wish else "crun")
        assert api.output(again["id"], "cat /workspace/notes/a.txt") == "content\n"
        answer(api.terminate(again["id"]))


def test_the_engine_is_used_only_where_it_is_asked_for(docked, engine):
    _, api = docked
    for wish in ({}, {"upstream": "primary"}):
        made = api.create(**wish)
        assert made["runtime"] == "crun" and containers(engine) == []
        answer(api.terminate(made["id"]))


def test_its_socket_is_inside_only_where_the_operator_allows_it(docked, sandyd, engine):
    script = "curl -s --unix-socket /var/run/docker.sock http://engine/_ping"
    _, api = docked
    made = api.create(enableDockerSocket=True)
    assert (made["runtime"], made["dockerSocket"]) == ("docker", False)
    assert any("Docker socket" in each for each in made["warnings"])
    assert api.exec(made["id"], script)["exitCode"] != 0
    answer(api.terminate(made["id"]))

    with service_of(sandyd(*settings(engine, "--docker-socket-in-sandboxes"))) as api:
        made = api.create(enableDockerSocket=True)
        box = made["id"]
        assert (made["runtime"], made["dockerSocket"]) == ("docker", True) and not made.get("warnings")
        assert api.output(box, script) == "OK"
        assert api.output(box, "echo $DOCKER_HOST") == "unix:///var/run/docker.sock\n"
        api.write(box, "shared", "seen by the engine")
        with open(os.path.join(api.output(box, "echo -n $SANDY_HOST_VOLUME"), "shared")) as file:
            assert file.read() == "seen by the engine"
        # What it creates is not as mighty as it.
        wish = json.dumps({"enableDockerSocket": True})
        asked = f"curl -s -H \"Authorization: Bearer $SANDY_API_KEY\" http://127.0.0.1:7330/api/sandboxes -d '{wish}'"
        child = json.loads(api.output(box, asked))
        assert (child["runtime"], child["dockerSocket"]) == ("docker", False)
        assert any("Docker socket" in each for each in child["warnings"])
        assert api.exec(child["id"], script)["exitCode"] != 0
        # A tenant may have the socket wherever it asks for it itself.
        placed = api.create(enableDockerSocket=True, parent_sandbox_id=box)
        assert placed["dockerSocket"] is True
        answer(api.terminate(box))
        assert api.get(child["id"]).status_code == 404 and api.get(placed["id"]).status_code == 404


def test_a_server_that_forgot_the_engine_does_not_start(sandyd):
    server = sandyd()
    assert server.stop() == 0
    box = Path(server.data_dir, "docker", "sandboxes", "sb_left")
    box.mkdir(parents=True)
    with pytest.raises(NotStarted, match="docker_socket must name the engine"):
        server.start()
    box.rmdir()
    server.start()


def test_it_outlives_a_server_that_is_killed(docked, engine):
    server, api = docked
    box = api.create(upstream="docker-primary")["id"]
    process = api.start(box, "echo begun; exec sleep 9000")["process_id"]
    api.write(box, "kept", "still here")
    server.kill()
    server.start()
    with service_of(server) as again:
        assert answer(again.get(box))["runtime"] == "docker"
        assert again.output(box, "cat kept") == "still here"
        assert answer(again.http.get(f"/api/sandboxes/{box}/processes/{process}"))["status"] == "running"
        answer(again.terminate(box))
        assert containers(engine) == []


def test_containers_run_in_it_as_in_any_other(docked, engine):
    server, api = docked
    box = api.create(upstream="docker-primary", ttl_seconds=600)["id"]
    made = answer(run(api, box, env={"EXTRA": "1"}, timeout=20))
    assert (made["status"], made["health"], made["port"]) == ("running", "healthy", 8080) and len(containers(engine)) == 2
    told = answer(chat(api, box, made["id"], "hello there"))
    assert told["choices"][0]["message"]["content"] == "hello there" and told["env"]["EXTRA"] == "1"
    streamed = chat(api, box, made["id"], "one two", stream=True).text
    assert streamed.count("data: ") == 3 and streamed.endswith(DONE)
    # Its port is the sandbox's; its processes are not.
    assert json.loads(api.output(box, "curl -s http://localhost:8080/health")) == {"status": "ok"}
    assert api.output(box, "cat /proc/[0-9]*/comm | grep -c python3 || true") == "0\n"
    other = answer(run(api, box, name="second"))
    assert other["port"] == 8081 and answer(api.http.delete(path(box, f"/{other['id']}")))["status"] == "exited"
    assert len(containers(engine)) == 2

    answer(api.http.post(f"/api/sandboxes/{box}/pause"))
    assert chat(api, box, made["id"], "hello").status_code == 409
    answer(api.http.post(f"/api/sandboxes/{box}/resume"))
    server.kill()
    server.start()
    with service_of(server) as again:
        found = wait_until(lambda: (each := answer(again.http.get(path(box, f"/{made['id']}"))))["health"] == "healthy" and each, "found")
        assert found["restarts"] == 0
        assert answer(chat(again, box, made["id"], "still here"))["choices"]
        assert "model starts" in answer(again.http.get(path(box, f"/{made['id']}/logs")))["lines"]
        answer(again.terminate(box))
        assert containers(engine) == [] and [each for each in leftovers(server) if not each.startswith("layer")] == []


def test_an_engine_that_is_down_refuses_for_now_and_harms_nobody_else(docked, engine):
    server, api = docked
    plain = api.create()["id"]
    box = api.create(upstream="docker-primary")["id"]
    engine.stop()
    try:
        refused = api.http.post("/api/sandboxes", json={"upstream": "docker-primary"})
        assert refused.status_code == 503 and int(refused.headers["Retry-After"]) > 0
        assert api.output(plain, "echo alive") == "alive\n"
        # Its processes ended with the engine. What the engine keeps of it cannot be removed yet, and is not forgotten.
        wait_until(lambda: answer(api.get(box))["status"] == "terminating", "the sandbox ends with its engine")
    finally:
        engine.start()
    server.kill()
    server.start()
    with service_of(server) as again:
        wait_until(lambda: again.get(box).status_code == 404, "it is removed when the engine is back")
        assert containers(engine) == []
        assert again.output(plain, "echo alive") == "alive\n"
        answer(again.terminate(plain))
