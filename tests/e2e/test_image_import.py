"""Images from archives that others made: what becomes of them, who may import them, and what is left of what cannot be one."""

import gzip
import json
import os
import signal
import threading
from pathlib import Path

import httpx
import pytest
from oci_archive import busybox, digest, directory, docker_archive, link, oci_archive, tar
from running_server import Server
from service import Service, answer, refusal
from waiting import wait_until

SMALL = {"resources": {"memory_mb": 128, "disk_gb": 0.2}}
KEYS = """
[[api_keys]]
tenant = "operator"
key = "operators-key"
admin = true

[[api_keys]]
tenant = "other"
key = "others-key"
"""
UPPER = tar(
    directory("etc"), ("etc/.wh.removed", b""), directory("srv/data"), ("srv/data/.wh..wh..opq", b""), ("srv/data/high", b"high\n"),
    ("su", b"x", {"mode": 0o4755, "uid": 7}),
)  # fmt: skip
CONFIG = {"Env": ["PATH=/bin", "GREETING=hello"], "WorkingDir": "/srv", "Cmd": ["sh"]}


class Store:
    """A server with an image store of its own, and an administrator's client of it."""

    def __init__(self, directory: Path, server: Server):
        self.directory, self.server = directory, server
        self.operator = Service(server.base_url, "operators-key")

    def post(self, archive, name="mine", **more) -> httpx.Response:
        return self.operator.http.post("/api/images", params={"name": name}, content=archive, **more)

    def layers(self) -> list:
        return sorted(each.name for each in self.directory.glob(".layer-*"))

    def unfinished(self) -> list:
        return [each.name for each in self.directory.glob(".import-*")] + [each.name for each in self.directory.glob(".removing-*")]


@pytest.fixture
def store(sandyd, tmp_path_factory, monkeypatch):
    """One of this test's own: what it must hold is known exactly."""
    place = tmp_path_factory.mktemp("images")
    (place / "archives").mkdir()
    (place / "config.toml").write_text(KEYS)
    (place / "store").mkdir()
    monkeypatch.setenv("SANDY_IMAGE_DIR", str(place / "store"))
    server = sandyd("--config", place / "config.toml", "--image-import-dirs", place / "archives")
    made = Store(place / "store", server)
    made.archives = place / "archives"
    yield made
    for box in answer(made.operator.http.get("/api/sandboxes"))["sandboxes"]:
        made.operator.terminate(box["id"])
    for image in answer(made.operator.http.get("/api/images"))["images"]:
        made.operator.http.delete(f"/api/images/{image['name']}")
    wait_until(lambda: made.layers() + made.unfinished() == [], "nothing is left")
    made.operator.close()


def test_a_sandbox_of_an_oci_image_has_what_its_layers_make_together(store):
    layers = [busybox(), UPPER]
    made = answer(store.post(oci_archive(layers, **CONFIG)))
    assert made["name"] == "mine" and made["imported"] is True and made["snapshot"] is False
    assert made["layers"] == [digest(each) for each in layers]
    assert made["digest"].startswith("sha256:") and made["size_bytes"] == made["sizeBytes"] > 1_000_000
    assert answer(store.operator.http.get("/api/images/mine")) == made
    with store.operator.box(**SMALL, image="mine") as box:
        run = lambda command: store.operator.output(box, command)  # noqa: E731
        assert run("pwd; echo $GREETING; id -u; ls data") == "/srv\nhello\n0\nhigh\n"
        assert run("test ! -e /etc/removed && cat /etc/passwd") == "root:x:0:0::/root:/bin/sh\n"
        assert run("stat -c '%a %u' /su") == "755 7\n"
        run("echo written >data/high && touch /etc/removed")
        assert answer(store.operator.get(box))["working_directory"] == "/srv"
    with store.operator.box(**SMALL, image="mine", workdir="/etc", env={"GREETING": "mine"}) as box:
        assert store.operator.output(box, "pwd; echo $GREETING; cat /srv/data/high") == "/etc\nmine\nhigh\n"
    assert answer(store.operator.http.delete("/api/images/mine"))["deleted"] is True
    refusal(store.operator.http.post("/api/sandboxes", json={"image": "mine"}), 400)
    assert store.layers() == []


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_what_docker_saves_is_taken_in_pieces_and_shares_its_layers(store, pack):
    answer(store.post(oci_archive([busybox()], **CONFIG), name="base"))
    archive = pack(docker_archive([busybox(), UPPER], **CONFIG))
    pieces = (archive[at : at + 65536] for at in range(0, len(archive), 65536))
    answer(store.post(pieces, name="above"))
    assert len(store.layers()) == 2
    with store.operator.box(**SMALL, image="above") as box:
        assert store.operator.output(box, "ls data") == "high\n"
    answer(store.operator.http.delete("/api/images/base"))
    assert len(store.layers()) == 2


def test_progress_is_told_as_events(store):
    request = store.operator.http.stream(
        "POST", "/api/images", params={"name": "mine"}, content=oci_archive([busybox()]), headers={"Accept": "text/event-stream"}
    )
    with request as response:
        assert response.status_code == 200 and response.headers["Content-Type"].startswith("text/event-stream")
        events = [block.split("\n") for block in response.read().decode().strip().split("\n\n")]
    told = [(lines[0].removeprefix("event: "), json.loads(lines[1].removeprefix("data: "))) for lines in events]
    assert [kind for kind, _ in told] == ["progress", "progress", "image"]
    assert [data["state"] for _, data in told[:2]] == ["unpacking", "unpacked"]
    assert told[2][1] == answer(store.operator.http.get("/api/images/mine"))
    response = store.post(b"nonsense" * 1000, headers={"Accept": "text/event-stream"})
    assert "event: error" in response.text and "invalid_argument" in response.text


def test_an_archive_of_the_machine_is_imported_by_its_path(store):
    (store.archives / "image.tar").write_bytes(oci_archive([busybox()]))
    post = lambda **body: store.operator.http.post("/api/images", json=body)  # noqa: E731
    assert answer(post(name="mine", path=str(store.archives / "image.tar")))["name"] == "mine"
    refusal(post(name="mine", path="/etc/passwd"), 403)
    refusal(post(name="mine", path=f"{store.archives}/../config.toml"), 403)
    refusal(post(name="mine", path=f"{store.archives}/none.tar"), 404)
    refusal(post(name="mine", path="relative.tar"), 400)
    refusal(post(name="mine"), 422)


def test_only_administrators_import_and_delete_what_is_everybodys(store):
    with Service(store.server.base_url, "others-key") as other:
        refusal(other.http.post("/api/images", params={"name": "mine"}, content=oci_archive([busybox()])), 403)
        answer(store.post(oci_archive([busybox()])))
        refusal(other.http.delete("/api/images/mine"), 403)
        assert [each["name"] for each in answer(other.http.get("/api/images"))["images"]] == ["mine"]
        with other.box(**SMALL, image="mine") as box:
            assert other.output(box, "pwd") == "/workspace\n"
    refusal(store.operator.http.post("/api/images", content=b"x"), 422)  # no name
    refusal(store.post(b"x", name="../up"), 400)


ESCAPES = {
    "dot-dot": [("../../../../tmp/escaped", b"x")],
    "absolute link and a file through it": [link("out", "/tmp"), ("out/../../escaped", b"x")],
    "hard link to outside": [("passwd", b"", {"type": b"1", "linkname": "../../../../etc/passwd"})],
    "whiteout outside": [("../.wh.layers", b"")],
    "hard link through a link": [link("out", "/"), ("passwd", b"", {"type": b"1", "linkname": "out/etc/passwd"})],
}


@pytest.mark.parametrize("entries", ESCAPES.values(), ids=ESCAPES.keys())
def test_archives_made_to_escape_are_refused_and_leave_nothing(store, entries):
    before = Path("/etc/passwd").read_bytes()
    refusal(store.post(oci_archive([busybox(), tar(*entries)])), 400)
    assert store.layers() == [] and store.unfinished() == []
    assert not Path("/tmp/escaped").exists() and Path("/etc/passwd").read_bytes() == before


def test_damaged_archives_are_refused_and_leave_nothing(store):
    whole = oci_archive([busybox()])
    refusal(store.post(whole[: len(whole) // 2]), 400)
    refusal(store.post(whole.replace(b'"rootfs"', b'"rootf$"')), 422)
    refusal(store.post(docker_archive([busybox()]).replace(b"from below", b"from above")), 422)
    refusal(store.post(b""), 400)
    assert store.layers() == [] and store.unfinished() == []


def test_sandboxes_and_snapshots_keep_what_they_stand_on(store):
    answer(store.post(oci_archive([busybox()], **CONFIG)))
    operator = store.operator
    with operator.box(**SMALL, image="mine") as box:
        answer(operator.http.post(f"/api/sandboxes/{box}/snapshot", json={"name": "kept"}))
        answer(operator.http.delete("/api/images/mine"))
        assert operator.output(box, "cat data/low") == "low\n"
    with operator.box(**SMALL, image="kept") as box:
        assert operator.output(box, "cat data/low") == "low\n"
    assert len(store.layers()) == 1
    answer(operator.http.delete("/api/images/kept"))
    wait_until(lambda: store.layers() == [], "the layers are gone", 90)  # servers look once a minute


def test_a_client_that_goes_away_leaves_nothing(store):
    archive = oci_archive([busybox()])

    def cut():
        yield archive[: len(archive) // 2]
        raise ConnectionError("the client dies")

    with pytest.raises(ConnectionError):
        store.post(cut())
    wait_until(lambda: store.unfinished() == [], "nothing is left", 30)
    assert store.layers() == []
    answer(store.post(archive))  # its turn was given back


def test_a_server_killed_in_the_middle_leaves_nothing_that_counts(store):
    archive = oci_archive([busybox(), UPPER])
    sent = threading.Event()

    def slowly():
        yield archive[: len(archive) // 2]
        sent.set()
        while store.server.is_running():
            yield b""
            threading.Event().wait(0.05)

    def post():
        try:
            store.post(slowly())
        except httpx.HTTPError:
            pass

    client = threading.Thread(target=post)
    client.start()
    sent.wait(30)
    wait_until(lambda: store.unfinished() != [], "it is at work", 30)
    os.kill(store.server.pid, signal.SIGKILL)
    store.server.process.wait()
    client.join()
    assert store.layers() == []
    store.server.start()
    store.operator = Service(store.server.base_url, "operators-key")
    wait_until(lambda: store.unfinished() == [], "nothing is left", 90)
    answer(store.post(archive))
    assert len(store.layers()) == 2


def test_two_imports_of_the_same_at_once_are_one_image(store):
    archive = oci_archive([busybox(), UPPER], **CONFIG)
    outcomes = []

    def post(name):
        with Service(store.server.base_url, "operators-key") as operator:
            outcomes.append(operator.http.post("/api/images", params={"name": name}, content=archive).status_code)

    clients = [threading.Thread(target=post, args=(name,)) for name in ("mine", "mine")]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    assert outcomes == [200, 200]
    assert len(store.layers()) == 2
    with store.operator.box(**SMALL, image="mine") as box:
        assert store.operator.output(box, "ls data") == "high\n"
