"""A cluster of a controller and two workers: who is in it, where sandboxes are made, and who may not join."""

import contextlib
import re
import socket
import ssl

import cluster as clusters
import pytest
from certificates import Authority
from cluster import ADMINISTRATOR, CONTROL_PORT, KNOWN_SECONDS, NODE_PORT, SMALL, members, node_of
from contract import timestamp
from running_server import NotStarted
from service import answer, refusal
from waiting import wait_until

NODES = ("controller", "east", "west")
ENOUGH_TO_SPREAD = 8


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with clusters.cluster(tmp_path_factory.mktemp("c")) as made:
        yield made


@pytest.fixture
def places(cluster):
    """Makes sandboxes through a node and tells on which nodes they are: `places("east", 3, upstream="x")`."""
    made = []

    def make(entered: str, count: int, **body) -> list:
        with cluster.nodes[entered].api() as api:
            new = [api.create(**SMALL, **body)["id"] for _ in range(count)]
        made.extend(new)
        return [node_of(box) for box in new]

    yield make
    with cluster.controller.api() as api:
        for box in made:
            api.terminate(box)


# -- who is in it ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", NODES)
def test_every_node_tells_of_all_of_them(cluster, asked):
    told = members(cluster.nodes[asked])
    for name, node in cluster.nodes.items():
        entry = told[name]
        assert (entry["role"], entry["labels"], entry["state"]) == (node.role, node.labels, "ready")
        assert entry["data_address"] == f"{node.host.address}:{NODE_PORT}"
        assert entry["self"] is (name == asked)
        assert re.fullmatch("[0-9a-f]{6}", entry["id"])
        timestamp(entry["last_seen_at"])
    assert len({entry["id"] for entry in told.values()}) == len({entry["version"] for entry in told.values()}) + 2 == 3


def test_nodes_agree_on_their_ids(cluster):
    assert len({tuple(sorted((name, entry["id"]) for name, entry in members(node).items())) for node in cluster.nodes.values()}) == 1


def test_every_node_knows_how_full_the_others_are(cluster):
    seen = lambda asked: members(cluster.nodes[asked])["east"]
    before = seen("east")["sandboxes"]
    with cluster.box(cluster.east):
        for asked in NODES:
            wait_until(lambda: seen(asked)["sandboxes"] == before + 1, f"{asked} knows of one more sandbox")
            entry = seen(asked)
            assert entry["max_sandboxes"] > 0 and 0 < entry["memory_available_bytes"] < entry["memory_total_bytes"]
            assert 0 <= entry["cpu_ratio"] <= 1
    for asked in NODES:
        wait_until(lambda: seen(asked)["sandboxes"] == before, f"{asked} knows of its end")


@pytest.mark.parametrize("asked", NODES)
def test_only_administrators_see_and_change_the_cluster(cluster, asked):
    for key, status in ((clusters.KEY, 403), (clusters.STRANGER, 403), ("unknown", 401), (None, 401)):
        with cluster.nodes[asked].api(key) as api:
            refusal(api.http.get("/api/cluster"), status)
            for change in ("cordon", "uncordon", "drain"):
                refusal(api.http.post(f"/api/cluster/nodes/east/{change}"), status)
    assert members(cluster.controller)["east"]["state"] == "ready"


def test_a_node_that_is_not_there_cannot_be_cordoned(cluster):
    with cluster.controller.api(ADMINISTRATOR) as api:
        refusal(api.http.post("/api/cluster/nodes/north/cordon"), 404)


# -- where sandboxes are made ----------------------------------------------------------------------------------


@pytest.mark.parametrize("entered", NODES)
def test_sandboxes_are_made_on_all_workers_and_never_on_a_controller(cluster, places, entered):
    assert set(places(entered, ENOUGH_TO_SPREAD)) == {node.id for node in cluster.workers}


@pytest.mark.parametrize("entered", NODES)
@pytest.mark.parametrize("wanted", ["east", "west"])
def test_an_upstream_that_is_a_label_is_where_it_is_made(cluster, places, entered, wanted):
    assert places(entered, 3, upstream=f"in-the-{wanted}") == [cluster.nodes[wanted].id] * 3


@pytest.mark.parametrize("entered", NODES)
def test_an_unknown_upstream_is_no_obstacle(cluster, places, entered):
    assert set(places(entered, 2, upstream="docker-primary-of-elsewhere")) <= {node.id for node in cluster.workers}


@pytest.mark.parametrize("entered", NODES)
def test_what_is_wrong_with_a_creation_is_said_as_by_one_server(cluster, entered):
    with cluster.nodes[entered].api() as api:
        assert "image" in refusal(api.http.post("/api/sandboxes", json={"image": "no-such-image"}), 400)
        refusal(api.http.post("/api/sandboxes", json={"resources": 7}), 422)
        refusal(api.http.post("/api/sandboxes", content=b"{"), (400, 422))
        assert refusal(api.http.post("/api/sandboxes", json={"parent_sandbox_id": "0" * 24}), 404) == "Sandbox not found"


# -- nodes that take nothing new -------------------------------------------------------------------------------


@pytest.fixture
def change(cluster):
    """Asks for a change of a node's state through a node, and waits until all know of it; undone with the test."""

    def ask(entered: str, name: str, what: str, state: str) -> None:
        with cluster.nodes[entered].api(ADMINISTRATOR) as api:
            entry = answer(api.http.post(f"/api/cluster/nodes/{name}/{what}"))
        assert (entry["name"], entry["state"]) == (name, state)
        for node in cluster.nodes.values():
            wait_until(lambda: members(node)[name]["state"] == state, f"{node.name} knows that {name} is {state}")

    yield ask
    for name in ("east", "west"):
        ask("controller", name, "uncordon", "ready")


@pytest.mark.parametrize("entered", NODES)
@pytest.mark.parametrize("what, state", [("cordon", "cordoned"), ("drain", "draining")])
def test_a_worker_that_is_taken_out_gets_nothing_new_and_keeps_what_it_has(cluster, places, change, entered, what, state):
    with cluster.box(cluster.east) as box:
        change(entered, "east", what, state)
        for node in cluster.nodes.values():
            assert places(node.name, 3) == [cluster.west.id] * 3
            with node.api() as api:
                assert api.output(box, "echo works") == "works\n"
        assert places("controller", 1, upstream="in-the-east") == [cluster.west.id]  # a wish only
        change(entered, "east", "uncordon", "ready")
        assert places("controller", 1, upstream="in-the-east") == [cluster.east.id]


@pytest.mark.parametrize("what, state, status", [("cordon", "cordoned", 200), ("drain", "draining", 503)])
def test_children_stay_with_their_parent_but_for_a_worker_that_is_drained(cluster, change, what, state, status):
    with cluster.box(cluster.east) as parent, cluster.controller.api() as api:
        change("controller", "east", what, state)
        response = api.http.post("/api/sandboxes", json={**SMALL, "parent_sandbox_id": parent})
        assert response.status_code == status and (status != 200 or node_of(response.json()["id"]) == cluster.east.id)


def test_a_worker_that_was_taken_out_is_out_when_it_was_restarted(cluster, change):
    change("controller", "east", "cordon", "cordoned")
    assert cluster.east.server.stop() == 0
    cluster.east.server.start()
    cluster.all_say({"controller": "ready", "east": "cordoned", "west": "ready"})


def test_without_a_worker_that_takes_it_a_creation_is_refused_and_may_be_repeated(cluster, places, change):
    for name in ("east", "west"):
        change("controller", name, "cordon", "cordoned")
    for node in cluster.nodes.values():
        with node.api() as api:
            refused = api.http.post("/api/sandboxes", json=SMALL)
            refusal(refused, 503)
            assert int(refused.headers["Retry-After"]) > 0
    change("controller", "west", "uncordon", "ready")
    assert places("east", 1) == [cluster.west.id]


# -- who may not join ------------------------------------------------------------------------------------------


def refusals(cluster) -> int:
    return len(cluster.controller.said("node_refused"))


def test_a_node_with_a_certificate_of_another_authority_is_refused(cluster, tmp_path):
    before = refusals(cluster)
    certificate = Authority(tmp_path / "elsewhere").certificate("north")
    with cluster.beside("north", certificate) as node:
        node.server.start()
        wait_until(lambda: node.said("cluster_join_failed"), "it says that it cannot join", KNOWN_SECONDS)
        wait_until(lambda: refusals(cluster) > before, "the controller says that it refused it")
        assert cluster.controller.host.address in str(node.said("cluster_join_failed")[0])
        assert node.host.address in str(cluster.controller.said("node_refused")[-1])
        assert set(members(cluster.controller)) == set(NODES)
        assert set(members(node)) == {"north"}
    cluster.is_whole()


def test_a_second_node_of_a_name_is_refused(cluster):
    before, ids = refusals(cluster), {name: entry["id"] for name, entry in members(cluster.controller).items()}
    with cluster.beside("east", cluster.certificate("another-east")) as node:
        node.server.start()
        wait_until(lambda: node.said("cluster_join_failed"), "it says that it cannot join", KNOWN_SECONDS)
        wait_until(lambda: refusals(cluster) > before, "the controller says that it refused it")
        assert {name: entry["id"] for name, entry in members(cluster.controller).items()} == ids
    cluster.is_whole()


def test_a_node_that_lacks_certificates_does_not_start(cluster):
    with cluster.beside("south", None) as node:
        with pytest.raises(NotStarted) as failed:
            node.server.start()
        assert "cluster_certificate" in failed.value.output


def answer_to(node, port: int, sent: bytes, tls=None) -> bytes:
    """What comes back on a connection to a node's port, which the node closes."""
    with socket.create_connection((node.host.address, port), timeout=20) as plain:
        with tls.wrap_socket(plain, server_hostname=node.name) if tls else plain as connection:
            connection.sendall(sent)
            got = b""
            while piece := connection.recv(65536):
                got += piece
            return got


REQUEST = b"GET /api/sandboxes HTTP/1.1\r\nHost: east\r\n\r\n"


@pytest.mark.parametrize("port", [CONTROL_PORT, NODE_PORT])
def test_without_tls_nobody_is_heard(cluster, port):
    before = refusals(cluster)
    with contextlib.suppress(ConnectionResetError):
        assert b"HTTP/1.1" not in answer_to(cluster.controller, port, REQUEST)
    if port == NODE_PORT:  # where nodes come first
        wait_until(lambda: refusals(cluster) > before, "the controller says that it refused somebody")
    cluster.is_whole()


def shown(certificate=None, version=ssl.TLSVersion.TLSv1_3):
    """TLS as a client that trusts everybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = version
    if certificate:
        context.load_cert_chain(certificate.certificate, certificate.key)
    return context


@pytest.mark.parametrize("port", [CONTROL_PORT, NODE_PORT])
@pytest.mark.parametrize("shows", ["no certificate", "one of another authority"])
def test_who_shows_no_certificate_of_the_cluster_is_not_heard(cluster, tmp_path, port, shows):
    context = shown() if shows == "no certificate" else shown(Authority(tmp_path / "elsewhere").certificate("east"))
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        # In TLS 1.3 the client hears of its refusal with the first thing that it reads.
        assert answer_to(cluster.controller, port, REQUEST, context) == b""
        raise ConnectionResetError("closed without an answer")


@pytest.mark.parametrize("port", [CONTROL_PORT, NODE_PORT])
@pytest.mark.parametrize("tls", [None, shown()], ids=["plain", "no certificate"])
def test_who_fails_at_a_nodes_port_takes_no_connection_from_others(cluster, port, tls):
    with cluster.connected(*cluster.nodes.values()), contextlib.suppress(OSError):
        answer_to(cluster.controller, port, REQUEST, tls)


def test_nothing_older_than_tls_1_3_is_spoken_between_nodes(cluster):
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        answer_to(cluster.controller, NODE_PORT, REQUEST, shown(cluster.certificate("client"), ssl.TLSVersion.TLSv1_2))
