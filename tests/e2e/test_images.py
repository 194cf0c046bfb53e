"""Snapshots and forks: what a sandbox wrote becomes what others are made from; whose it is, and when it goes."""

import threading

import httpx
import pytest
from leftovers import leftovers
from service import Service, answer, refusal
from waiting import wait_until

SMALL = {"resources": {"memory_mb": 128, "disk_gb": 0.2}}


def snapshot(api, box, **body) -> dict:
    return answer(api.http.post(f"/api/sandboxes/{box}/snapshot", json=body))


def fork(api, box, **body) -> list:
    return answer(api.http.post(f"/api/sandboxes/{box}/fork", json=body))["sandboxes"]


def names(api) -> set:
    return {each["name"] for each in answer(api.http.get("/api/images"))["images"]}


@pytest.fixture
def source(api):
    """A sandbox whose file system is worth keeping."""
    with api.box(**SMALL) as box:
        api.output(box, "echo built >/workspace/result && useradd worker && chown worker /workspace/result && rm /etc/issue")
        yield box


@pytest.fixture
def image(api, source):
    """The name of a snapshot of it, gone after the test."""
    made = snapshot(api, source)
    yield made["name"]
    api.http.delete(f"/api/images/{made['name']}")


def test_a_sandbox_made_from_a_snapshot_has_what_was_written(api, source, image):
    api.output(source, "echo later >/workspace/result")
    with api.box(**SMALL, image=image) as copy:
        assert api.output(copy, "cat result; stat -c %U result; test ! -e /etc/issue && echo removed") == "built\nworker\nremoved\n"
        api.output(copy, "echo its own >result")
        assert answer(api.get(copy))["image"] == image
    assert api.output(source, "cat result") == "later\n"


def test_a_snapshot_says_what_it_is(api, source):
    made = snapshot(api, source, name="with-result")
    try:
        assert made["name"] == made["image"] == "with-result"
        assert made["snapshot"] is True
        assert made["source_sandbox_id"] == made["sourceSandboxId"] == source
        assert made["size_bytes"] == made["sizeBytes"] > 0
        assert made["created_at"].endswith("+00:00")
        assert answer(api.http.get("/api/images/with-result")) == made
        assert {"basic", "with-result"} <= names(api)
        refusal(api.http.post(f"/api/sandboxes/{source}/snapshot", json={"name": "with-result"}), 409)
    finally:
        gone = answer(api.http.delete("/api/images/with-result"))
    assert gone["deleted"] is True
    assert "with-result" not in names(api)
    refusal(api.http.get("/api/images/with-result"), 404)
    refusal(api.http.delete("/api/images/with-result"), 404)
    refusal(api.http.post("/api/sandboxes", json={"image": "with-result"}), 400)


@pytest.mark.parametrize("name", ["../x", "Upper", ".hidden", "a/b", "x" * 129, "sp ace"])
def test_a_name_that_cannot_be_is_refused(api, source, name):
    refusal(api.http.post(f"/api/sandboxes/{source}/snapshot", json={"name": name}), 400)


def test_the_installations_images_stay_what_they_are(api, source):
    refusal(api.http.post(f"/api/sandboxes/{source}/snapshot", json={"name": "basic"}), 409)
    refusal(api.http.delete("/api/images/basic"), 403)
    assert answer(api.http.get("/api/images/basic"))["snapshot"] is False


def test_processes_go_on_through_a_snapshot(api, source):
    api.start(source, "for i in $(seq 5000); do echo $i; sleep 0.01; done >/root/count")
    made = snapshot(api, source)
    api.http.delete(f"/api/images/{made['name']}")

    def counted():
        return int(api.output(source, "wc -l </root/count"))

    before = counted()
    wait_until(lambda: counted() > before, "it counts on")


def test_forks_have_what_the_original_has_and_live_apart(api, source):
    api.output(source, "echo before >shared")
    forks = fork(api, source, count=3, env={"NUMBER": "7"})
    try:
        assert len({each["id"] for each in forks}) == 3
        for each in forks:
            assert each["status"] == "running"
            assert api.output(each["id"], "cat shared result; echo $NUMBER; echo mine >shared") == "before\nbuilt\n7\n"
        assert api.output(source, "cat shared") == "before\n"
        deeper = fork(api, forks[0]["id"])[0]
        assert api.output(deeper["id"], "cat shared") == "mine\n"
        api.terminate(forks[0]["id"])
        assert api.output(deeper["id"], "cat shared; cat result") == "mine\nbuilt\n"
        api.terminate(deeper["id"])
    finally:
        for each in forks:
            api.terminate(each["id"])


@pytest.mark.parametrize("count", [0, 17, "many"])
def test_a_count_that_cannot_be_is_refused(api, source, count):
    assert api.http.post(f"/api/sandboxes/{source}/fork", json={"count": count}).status_code in (400, 422)


def test_what_is_somebody_elses_or_gone_is_unknown(api, server, source):
    for path in ("snapshot", "fork"):
        refusal(api.http.post(f"/api/sandboxes/{'0' * 24}/{path}"), 404)
    api.terminate(source)
    for path in ("snapshot", "fork"):
        refusal(api.http.post(f"/api/sandboxes/{source}/{path}"), 404)


def test_a_sandbox_forks_itself_within_its_limits(api):
    """Forks made from inside are children: they count, and they end with their parent."""
    with api.box(**SMALL) as box, Service(str(api.http.base_url), api.output(box, 'printf %s "$SANDY_API_KEY"')) as own:
        api.output(box, "echo seed >/workspace/seed")
        forks = fork(own, box, count=2)
        assert all(each["parent_sandbox_id"] == box for each in forks)
        assert api.output(forks[1]["id"], "cat seed") == "seed\n"
        refused = own.http.post(f"/api/sandboxes/{box}/fork", json={"count": 4})
        assert refused.status_code == 429 and "Retry-After" in refused.headers
        assert len(answer(own.http.get(f"/api/sandboxes/{box}/children"))["sandboxes"]) == 2
        mine = snapshot(own, box)["name"]
        assert mine in names(own)
        with api.box(**SMALL) as other, Service(str(api.http.base_url), api.output(other, 'printf %s "$SANDY_API_KEY"')) as stranger:
            assert mine not in names(stranger)
            refusal(stranger.http.delete(f"/api/images/{mine}"), 404)
        assert answer(own.http.delete(f"/api/images/{mine}"))["deleted"] is True
    wait_until(lambda: all(api.get(each["id"]).status_code == 404 for each in forks), "the forks end with their parent")


@pytest.fixture
def own_server(sandyd):
    return sandyd()


def client_of(server) -> Service:
    return Service(server.base_url, server.api_key)


def ask_in_vain(api, box):
    with pytest.raises(httpx.TransportError):  # the server is killed before it answers
        snapshot(api, box, name="half")


def layers_of(server) -> list:
    return sorted(each.name for each in (server.data_dir / "layers").iterdir())


def test_layers_go_with_the_last_that_needs_them(own_server):
    server, api = own_server, client_of(own_server)
    box = api.create(**SMALL)["id"]
    first = snapshot(api, box, name="first")["name"]
    copy = api.create(**SMALL, image=first)["id"]
    snapshot(api, copy, name="second")
    forked = fork(api, copy)[0]["id"]
    assert len(layers_of(server)) == 3
    assert answer(api.http.delete("/api/images/first"))["deleted"]
    for each in (box, copy):
        api.terminate(each)
    assert len(layers_of(server)) == 3  # the fork stands on two, "second" on the first
    api.terminate(forked)
    wait_until(lambda: len(layers_of(server)) == 2, "the fork's layer goes")
    answer(api.http.delete("/api/images/second"))
    assert layers_of(server) == []
    assert leftovers(server) == []


def test_snapshots_and_forks_survive_the_death_of_the_server(own_server):
    server, api = own_server, client_of(own_server)
    box = api.create(**SMALL)["id"]
    api.output(box, "echo kept >/workspace/kept")
    snapshot(api, box, name="kept")
    forked = fork(api, box)[0]["id"]
    (server.data_dir / "layers" / ("f" * 24)).mkdir()  # as a crash in the middle would leave it
    server.kill()
    api = client_of(server.start())
    assert len(layers_of(server)) == 2
    assert api.output(forked, "cat kept") == "kept\n"
    copy = api.create(**SMALL, image="kept")["id"]
    assert api.output(copy, "cat kept") == "kept\n"
    for each in (box, forked, copy):
        api.terminate(each)
    answer(api.http.delete("/api/images/kept"))
    assert layers_of(server) == []
    assert leftovers(server) == []


def test_a_server_killed_while_it_copies_leaves_the_sandbox_running(own_server):
    server, api = own_server, client_of(own_server)
    box = api.create(**{"resources": {"memory_mb": 512, "disk_gb": 2}})["id"]
    api.output(box, "head -c 600M /dev/urandom >/root/big")
    asking = threading.Thread(target=ask_in_vain, args=(api, box))
    asking.start()
    wait_until(lambda: layers_of(server), "the copy has begun")
    server.kill()
    asking.join()
    api = client_of(server.start())
    assert api.output(box, "echo alive") == "alive\n"
    assert "half" not in names(api)
    assert layers_of(server) == []
    api.terminate(box)
    assert leftovers(server) == []
