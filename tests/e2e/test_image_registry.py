"""Images from registries: a real one on this machine, filled by skopeo, and some that misbehave."""

import json
import os
import socket
import threading
import time
from pathlib import Path

import httpx
import pytest
from oci_archive import busybox, digest
from registry import Registry, Strange
from service import Service, answer, refusal
from test_image_import import CONFIG, KEYS, SMALL, UPPER
from waiting import wait_until


@pytest.fixture
def registry(tmp_path_factory):
    made = Registry(tmp_path_factory.mktemp("registry") / "r")
    made.push("team/agent:1", [busybox()], **CONFIG)
    yield made
    made.end()


class Installation:
    """A server with an image store of its own."""

    def __init__(self, server, store: Path):
        self.server, self.store = server, store
        self.operator = Service(server.base_url, "operators-key")
        self.other = Service(server.base_url, "others-key")

    def fetch(self, reference: str, **more) -> httpx.Response:
        return self.operator.http.post("/api/images", json={"reference": reference, **more})

    def unfinished(self) -> list:
        return [each.name for pattern in (".import-*", ".removing-*") for each in self.store.glob(pattern)]

    def layers(self) -> list:
        return [each.name for each in self.store.glob(".layer-*")]


@pytest.fixture
def installed(sandyd, tmp_path_factory, monkeypatch):
    """Makes servers that fetch from these registries."""
    made = []

    def start(*hosts, config="", **settings) -> Installation:
        place = tmp_path_factory.mktemp("images")
        (place / "store").mkdir()
        (place / "config.toml").write_text(KEYS + config)
        monkeypatch.setenv("SANDY_IMAGE_DIR", str(place / "store"))
        arguments = ["--config", place / "config.toml", "--image-registries", ",".join(hosts)]
        arguments += ["--image-insecure-registries", ",".join(host.split("/")[0] for host in hosts)]
        for name, value in settings.items():
            arguments += ["--" + name.replace("_", "-"), value]
        made.append(Installation(sandyd(*arguments), place / "store"))
        return made[-1]

    yield start
    for each in made:
        each.server.terminate_all()
        for image in answer(each.operator.http.get("/api/images"))["images"]:
            each.operator.http.delete(f"/api/images/{image['name']}")
        wait_until(lambda: each.unfinished() + each.layers() == [], "nothing is left")
        each.operator.close()
        each.other.close()


def test_an_image_is_fetched_by_its_reference_and_used_by_it(registry, installed):
    here = installed(registry.host)
    reference = f"{registry.host}/team/agent:1"
    made = answer(here.fetch(reference))
    assert made["imported"] is True and made["layers"] == [digest(busybox())]
    assert made["name"].endswith("__team__agent_.1")
    with here.other.box(**SMALL, image=reference) as box:
        assert here.other.output(box, "pwd; echo $GREETING") == "/srv\nhello\n"
        assert answer(here.other.get(box))["image"] == made["name"]
    quoted = reference.replace("/", "%2F")
    assert answer(here.operator.http.get(f"/api/images/{quoted}")) == made
    assert answer(here.fetch(reference, name="mine"))["layers"] == made["layers"]
    assert len(here.layers()) == 1
    assert answer(here.operator.http.delete(f"/api/images/{quoted}"))["deleted"] is True
    by_digest = registry.push("team/agent:2", [busybox(), UPPER], **CONFIG)
    assert len(answer(here.fetch(f"{registry.host}/team/agent@{by_digest}", name="mine"))["layers"]) == 2
    assert here.unfinished() == []


def test_fetching_is_told_as_events(registry, installed):
    here = installed(registry.host)
    with here.operator.http.stream(
        "POST", "/api/images", json={"reference": f"{registry.host}/team/agent:1", "name": "mine"}, headers={"Accept": "text/event-stream"}
    ) as response:
        blocks = [block.split("\n") for block in response.read().decode().strip().split("\n\n")]
    told = [(lines[0].removeprefix("event: "), json.loads(lines[1].removeprefix("data: "))) for lines in blocks if lines[0] != ": ping"]
    assert [data["state"] for kind, data in told if kind == "progress" and data["state"] != "fetching"] == ["unpacking", "unpacked"]
    assert told[-1][0] == "image" and told[-1][1]["name"] == "mine"


def test_what_a_registry_does_not_have_and_what_is_not_allowed(registry, installed):
    here = installed(f"{registry.host}/team")
    refusal(here.fetch(f"{registry.host}/team/agent:none"), 400)
    refusal(here.fetch(f"{registry.host}/team/none:1"), 400)
    refusal(here.fetch(f"{registry.host}/team/agent@{digest(b'another')}"), 400)
    refusal(here.fetch(f"{registry.host}/other/agent:1"), 403)
    refusal(here.fetch(f"{registry.host}/teammate/agent:1"), 403)
    refusal(here.fetch("ghcr.io/team/agent:1"), 403)
    refusal(here.fetch("agent"), 400)
    refusal(here.other.http.post("/api/images", json={"reference": f"{registry.host}/team/agent:1"}), 403)
    assert here.unfinished() == [] and here.layers() == []


def test_without_registries_nothing_is_fetched(installed):
    assert "image_registries" in refusal(installed().fetch("ghcr.io/team/agent:1"), 403)


def test_credentials_come_from_the_operators_file(installed, tmp_path):
    private = Registry(tmp_path / "private", private=True)
    try:
        private.push("team/agent:1", [busybox()])
        reference = f"{private.host}/team/agent:1"
        here = installed(private.host, image_registry_auth=private.auth_file)
        private.auth_file.chmod(0o600)
        assert answer(here.fetch(reference, name="mine"))["name"] == "mine"
        private.auth_file.write_text(json.dumps({"auths": {private.host: {"auth": "a2VlcGVyOndyb25n"}}}))
        assert "credentials" in refusal(here.fetch(reference), 502)
        assert "wrong" not in here.server.log.read_text()
        assert "credentials" in refusal(installed(private.host).fetch(reference), 502)
    finally:
        private.end()


def test_a_registry_whose_bytes_are_not_what_it_announces_is_refused(installed):
    layer = busybox()
    strange = Strange(lambda out: out.write(layer.replace(b"from below", b"from above")), layer, len(layer))
    try:
        here = installed(strange.host)
        refusal(here.fetch(f"{strange.host}/agent:1"), 422)
        assert here.unfinished() == [] and here.layers() == []
    finally:
        strange.end()


def test_a_registry_that_never_stops_sending_is_cut_off(installed):
    noise = os.urandom(1 << 20)  # it is compressed on its way

    def endless(out):
        while True:
            out.write(noise)

    strange = Strange(endless, b"x", 1 << 40)
    try:
        here = installed(strange.host, max_image="8Mi")
        refusal(here.fetch(f"{strange.host}/agent:1"), 413)
        assert here.unfinished() == []
    finally:
        strange.end()


def test_a_registry_that_hangs_is_given_up_and_a_client_that_goes_is_noticed(installed):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        here = installed(host, image_pull_timeout="2s")
        refusal(here.fetch(f"{host}/agent:1"), 504)
        assert here.unfinished() == []
        slow = installed(host)
        with pytest.raises(httpx.ReadTimeout):
            slow.operator.http.post("/api/images", json={"reference": f"{host}/agent:1"}, timeout=1)
        wait_until(lambda: slow.unfinished() == [], "nothing is left", 30)


def test_a_server_that_stops_waits_for_no_registry(installed):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        here = installed(host, image_pull="missing")

        def create():
            try:
                here.other.http.post("/api/sandboxes", json={"image": f"{host}/agent:1"})
            except httpx.HTTPError:
                pass

        client = threading.Thread(target=create)
        client.start()
        wait_until(lambda: here.unfinished() != [], "it is fetching", 30)
        begun = time.monotonic()
        assert here.server.stop() == 0
        client.join()
        assert time.monotonic() - begun < 15 and here.unfinished() == []
        here.server.start()
        here.operator = Service(here.server.base_url, "operators-key")


def fetchers(host: str) -> list:
    """The processes that fetch from there."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = each.read_bytes()
        except OSError:
            continue
        if f"docker://{host}/".encode() in line:
            found.append(int(each.parent.name))
    return found


def test_a_server_that_is_killed_leaves_nobody_fetching(installed):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        here = installed(host, image_pull="missing")

        def create():
            try:
                here.other.http.post("/api/sandboxes", json={"image": f"{host}/agent:1"})
            except httpx.HTTPError:
                pass

        client = threading.Thread(target=create)
        client.start()
        asking, _ = silent.accept()
        assert fetchers(host)
        here.server.kill()
        client.join()
        wait_until(lambda: fetchers(host) == [], "nobody fetches", 10)
        asking.close()
        here.server.start()
        here.operator = Service(here.server.base_url, "operators-key")


def test_what_is_missing_is_fetched_once_for_all_who_want_it(registry, installed):
    reference = f"{registry.host}/team/agent:1"
    here = installed(registry.host, image_pull="missing", config=f'[image_aliases]\n"the-agent" = "{reference}"\n')
    outcomes = []

    def create(image):
        with Service(here.server.base_url, "others-key") as client:
            made = client.http.post("/api/sandboxes", json={**SMALL, "image": image})
            outcomes.append(made.status_code)
            if made.status_code == 200:
                client.terminate(made.json()["id"])

    clients = [threading.Thread(target=create, args=(image,)) for image in [reference, "the-agent"] * 3]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    assert outcomes == [200] * 6
    assert here.server.log.read_text().count('"image_fetched"') == 1
    images = answer(here.other.http.get("/api/images"))["images"]
    assert [each["aliases"] for each in images] == [["the-agent"]]
    refusal(here.other.http.post("/api/sandboxes", json={"image": f"{registry.host}/team/agent:none"}), 400)
    refusal(here.other.http.post("/api/sandboxes", json={"image": "ghcr.io/team/agent:1"}), 400)


def test_what_is_missing_stays_so_where_nothing_is_fetched(registry, installed):
    here = installed(registry.host)
    refusal(here.other.http.post("/api/sandboxes", json={"image": f"{registry.host}/team/agent:1"}), 400)
