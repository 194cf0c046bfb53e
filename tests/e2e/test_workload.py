"""Sandboxes of an image that somebody brought: its program is what they run, beside what callers run in them."""

import contextlib
import secrets
import time

import httpx
import pytest
from docker_engine import Engine
from ingress import Site, free_port, host
from leftovers import leftovers
from oci_archive import busybox, directory, oci_archive, tar
from service import Service, answer, refusal
from waiting import wait_until, wait_until_empty

SMALL = {"resources": {"memory_mb": 128, "disk_gb": 0.2}}
KEYS = """
[[api_keys]]
tenant = "operator"
key = "operators-key"
admin = true
"""
# Says who it is, leaves its number, and answers each connection with a program of its own.
SERVE = b"""#!/bin/sh
id -u; pwd; echo "$HOME $GREETING $KEY"
echo $$ >pid
exec busybox nc -ll -p $PORT -e /answer
"""
ANSWER = rb"""#!/bin/sh
end=$(printf '\r')
length=0
read -r method target version
while read -r line; do
  line=${line%"$end"}
  [ -n "$line" ] || break
  case $line in [Cc]ontent-[Ll]ength:*) length=${line#*: } ;; esac
done
body=$(head -c "$length")
say() { printf 'HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s' "$1" "${#2}" "$2"; }
case $target in
  /health) say text/plain ok ;;
  /v1/chat/completions) say application/json "{\"choices\": [{\"message\": {\"content\": \"$GREETING\"}}], \"asked\": $body}" ;;
  *) say text/plain "$(pwd) $(cat note)" ;;
esac
"""
SITE = tar(
    directory("etc"), ("etc/passwd", b"root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/srv:/bin/sh\n"),
    directory("srv", uid=1000, gid=1001), ("srv/note", b"the image's"),
    ("serve", SERVE, {"mode": 0o755}), ("answer", ANSWER, {"mode": 0o755}),
)  # fmt: skip
CONFIG = {"Cmd": ["/serve"], "User": "app", "WorkingDir": "/srv", "Env": ["PATH=/bin", "GREETING=hello"]}


def path(box, rest=""):
    return f"/api/sandboxes/{box}/container{rest}"


def bring(api, **changes) -> str:
    """Imports an image that serves. @returns its name"""
    name = "mine-" + secrets.token_hex(4)
    answer(api.http.post("/api/images", params={"name": name}, content=oci_archive([busybox(), SITE], **{**CONFIG, **changes})))
    return name


def listed(api, box) -> dict:
    """All that the sandbox has: its program."""
    containers = answer(api.http.get(path(box)))["containers"]
    assert len(containers) == 1
    return containers[0]


def healthy(api, box) -> dict:
    return wait_until(lambda: (each := listed(api, box))["health"] == "healthy" and each, "its program is healthy", 20)


def chat(api, box, container) -> httpx.Response:
    return api.http.post(path(box, f"/{container}/chat"), json={"messages": [{"role": "user", "content": "hi"}]})


def lines(api, box, container) -> list:
    return answer(api.http.get(path(box, f"/{container}/logs")))["lines"]


@contextlib.contextmanager
def serving(sandyd, tmp_path, monkeypatch, *arguments):
    """A server with an image store of its own, and its operator."""
    (tmp_path / "config.toml").write_text(KEYS)
    (tmp_path / "store").mkdir()
    monkeypatch.setenv("SANDY_IMAGE_DIR", str(tmp_path / "store"))
    server = sandyd("--config", tmp_path / "config.toml", *arguments)
    with Service(server.base_url, "operators-key") as api:
        yield server, api
        for box in answer(api.http.get("/api/sandboxes"))["sandboxes"]:
            api.terminate(box["id"])
        wait_until_empty(lambda: leftovers(server), "nothing is left")


@pytest.fixture
def installation(sandyd, tmp_path, monkeypatch):
    with serving(sandyd, tmp_path, monkeypatch) as made:
        yield made


def test_the_program_of_an_image_is_reached_at_the_port_that_was_named(installation):
    _, api = installation
    image, port = bring(api), free_port()
    with api.box(**SMALL, image=image, ports=[port], env={"KEY": "mine"}) as box:
        # Commands are there before it is healthy, or even if it never is.
        assert api.output(box, "cat /srv/note") == "the image's"
        made = healthy(api, box)
        assert (made["workload"], made["port"], made["image"], made["status"]) == (True, port, image, "running")
        visit = lambda: Site(f"http://127.0.0.1:{port}", {"Host": f"{host(box)}:{port}"}).visit("/page").body  # noqa: E731
        assert visit() == b"/srv the image's"
        api.output(box, "printf theirs >/srv/note")  # files are common
        assert visit() == b"/srv theirs"
        assert api.output(box, "busybox wget -q -O - http://localhost:$0/health".replace("$0", str(port))) == "ok"
        assert lines(api, box, made["id"])[:3] == ["1000", "/srv", "/srv hello mine"]
        told = answer(chat(api, box, made["id"]))
        assert told["choices"][0]["message"]["content"] == "hello" and told["asked"]["messages"][0]["content"] == "hi"
        assert api.http.get(path(box, f"/{made['id']}/health")).text == "ok"
        # So are processes.
        api.exec(box, "kill -9 $(cat /srv/pid)")
        wait_until(lambda: listed(api, box)["restarts"] == 1, "it is started again", 20)
        assert healthy(api, box)["id"] == made["id"]
        assert answer(chat(api, box, made["id"]))["choices"]


def test_it_is_stopped_and_forgotten_and_the_sandbox_stays(installation):
    _, api = installation
    with api.box(**SMALL, image=bring(api)) as box:
        made = healthy(api, box)
        assert made["port"] == 8080
        stopped = answer(api.http.post(path(box, f"/{made['id']}/stop"), json={"grace": 5}))
        assert stopped["status"] == "exited" and stopped["exit_code"] == 143
        assert lines(api, box, made["id"])[0] == "1000"
        refusal(chat(api, box, made["id"]), 502)
        answer(api.http.delete(path(box, f"/{made['id']}")))
        refusal(api.http.get(path(box, f"/{made['id']}")), 404)
        assert answer(api.http.get(path(box)))["containers"] == []
        assert api.output(box, "echo on") == "on\n"
    with api.box(**SMALL, image=bring(api)) as box:
        made = healthy(api, box)
        answer(api.http.delete(path(box, f"/{made['id']}")))
        assert api.exec(box, "kill -0 $(cat /srv/pid)")["exitCode"] != 0  # one that runs is killed


def test_it_outlives_the_server_and_ends_with_its_sandbox(sandyd, tmp_path, monkeypatch):
    with serving(sandyd, tmp_path, monkeypatch) as (server, api):
        image = bring(api)
        first, second = (api.create(**SMALL, image=image, ttl_seconds=600)["id"] for _ in range(2))
        made = healthy(api, first)
        other = healthy(api, second)
        server.kill()
        server.start()
        api.http.base_url = server.base_url
        found = healthy(api, first)
        assert (found["id"], found["started_at"], found["restarts"]) == (made["id"], made["started_at"], 0)
        assert found["workload"] is True
        assert answer(chat(api, first, made["id"]))["choices"] and "/srv hello " in lines(api, first, made["id"])
        # It is looked after as before, also where it ended while nobody was there.
        pid = api.output(second, "cat /srv/pid").strip()
        api.start(second, f"sleep 1; kill -9 {pid}")
        server.kill()
        time.sleep(1.5)
        server.start()
        api.http.base_url = server.base_url
        wait_until(lambda: listed(api, second)["restarts"] == 1, "it is started again", 20)
        assert healthy(api, second)["id"] == other["id"]
        for box in (first, second):
            answer(api.terminate(box))
        wait_until_empty(lambda: leftovers(server), "nothing is left")


@pytest.mark.parametrize(
    "changes, words", [({"Cmd": ["/none"]}, "/none"), ({"User": "nobody-here"}, "nobody-here")], ids=["no such program", "no such user"]
)
def test_one_that_cannot_be_started_is_listed_with_the_reason(installation, changes, words):
    _, api = installation
    with api.box(**SMALL, image=bring(api, **changes)) as box:
        made = wait_until(lambda: (each := listed(api, box))["status"] == "exited" and each, "it is given up")
        assert words in made["error"] and made["started_at"] is None and made["exit_code"] is None
        assert api.output(box, "echo on") == "on\n"
        assert lines(api, box, made["id"]) == []


def test_forks_and_snapshots_have_its_files_and_do_not_run_it(installation):
    _, api = installation
    with api.box(**SMALL, image=bring(api)) as box:
        healthy(api, box)
        answer(api.http.post(f"/api/sandboxes/{box}/snapshot", json={"name": "kept"}))
        forks = [each["id"] for each in answer(api.http.post(f"/api/sandboxes/{box}/fork", json={"count": 1}))["sandboxes"]]
        for copy in [*forks, api.create(**SMALL, image="kept", ttl_seconds=600)["id"]]:
            assert api.output(copy, "test -s /srv/pid && cat /srv/note") == "the image's"
            assert answer(api.http.get(path(copy)))["containers"] == []
            api.terminate(copy)
        assert listed(api, box)["restarts"] == 0
    answer(api.http.delete("/api/images/kept"))


def test_a_sandbox_whose_program_is_asked_for_its_health_is_idle_all_the_same(installation):
    _, api = installation
    # As one would that prints a line for each question.
    image = bring(api, Entrypoint=["/bin/sh", "-c", "while sleep 1; do echo line; done & exec /serve"], Cmd=[])
    box = api.create(**SMALL, image=image, idle_timeout_seconds=8)["id"]
    healthy(api, box)
    wait_until(lambda: api.get(box).status_code in (404, 410), "it ends, unused", 30)


def test_docker_runs_it_too(sandyd, tmp_path, monkeypatch):
    with Engine() as engine, serving(sandyd, tmp_path, monkeypatch, "--docker-socket", engine.socket, "--create-timeout", "240s") as (_, api):
        api.http.timeout = httpx.Timeout(240)
        with api.box(**SMALL, image=bring(api), upstream="docker-primary") as box:
            assert answer(api.get(box))["runtime"] == "docker"
            made = healthy(api, box)
            assert lines(api, box, made["id"])[:3] == ["1000", "/srv", "/srv hello "]
            assert answer(chat(api, box, made["id"]))["choices"]
            api.exec(box, "kill -9 $(cat /srv/pid)")
            wait_until(lambda: listed(api, box)["restarts"] == 1, "it is started again", 20)
            healthy(api, box)
            answer(api.http.delete(path(box, f"/{made['id']}")))
            assert answer(api.http.get(path(box)))["containers"] == []
