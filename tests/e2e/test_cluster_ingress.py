"""An application in a sandbox of one node, reached through another: it cannot tell."""

import hashlib
import json
import os
import re
import secrets
from urllib.parse import urlsplit

import cluster as clusters
import hosts
import pytest
from cluster import API_PORT, KEY, SMALL
from ingress import RUNTIME_PORT, Site, host, start_app, websocket
from service import answer
from web_app import PATTERN

NODES = ("controller", "west", "east")  # the application is on the last
PRIVATE_PORT = 3000
MEBIBYTE = 1 << 20
FORWARDED_HOST = f"sandy.example:{API_PORT}"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with clusters.cluster(tmp_path_factory.mktemp("c")) as made:
        yield made


@pytest.fixture(scope="module")
def app(cluster):
    """On `east`."""
    with cluster.box(cluster.east, private_ports=[PRIVATE_PORT], resources={"memory": "512Mi"}) as box, cluster.east.api() as api:
        start_app(api, box, PRIVATE_PORT)
        yield start_app(api, box)


@pytest.fixture(params=NODES)
def node(cluster, request):
    """The node that is entered."""
    return cluster.nodes[request.param]


WAYS = {
    "by its name": lambda app: ({"Host": host(app.box)}, ""),
    "by a header": lambda app: ({"Host": FORWARDED_HOST, "X-Sandy-Host": host(app.box)}, ""),
    "below the proxy's path": lambda app: ({"Host": FORWARDED_HOST, "Authorization": f"Bearer {KEY}"}, f"/api/sandboxes/{app.box}/proxy/{RUNTIME_PORT}"),
    "below the public path": lambda app: ({"Host": FORWARDED_HOST}, f"/sandbox/{app.box}"),
}


@pytest.fixture(params=WAYS)
def way(app, request):
    """Gives the application as it is reached through a node."""
    headers, prefix = WAYS[request.param](app)
    return lambda entered: Site(entered.server.base_url, dict(headers), prefix)


def seen_of(report: dict) -> dict:
    """What must not depend on the way that a request took."""
    return {name: report[name] for name in ("line", "headers", "size", "sha256", "body", "trailers")}


def values(report: dict, name: str) -> list:
    return [value for key, value in report["headers"] if key.lower() == name.lower()]


GIVEN = {"X-Request-Id": "r-1", "X-Own": "1", "Cookie": "a=b", "X-Forwarded-For": "192.0.2.7", "Accept-Encoding": "gzip", "Content-Type": "text/x"}


@pytest.mark.parametrize("method, body", [("GET", None), ("POST", b"a body"), ("DELETE", None), ("PUT", b"")])
def test_an_application_sees_the_same_request(cluster, node, way, method, body):
    ask = lambda entered: seen_of(way(entered).report("/a%20b/c?d=e&f=%2F", method, body, GIVEN))
    assert ask(node) == ask(cluster.east)


def test_an_application_sees_who_asked_and_no_node(cluster, node, way):
    report = way(node).report("/")
    assert values(report, "x-forwarded-for") == [hosts.HERE] and hosts.HERE in values(report, "forwarded")[0]
    behind_a_proxy = way(node).report("/", headers={"X-Forwarded-For": "192.0.2.7"})
    assert ", ".join(values(behind_a_proxy, "x-forwarded-for")) == f"192.0.2.7, {hosts.HERE}"
    said = json.dumps([report["headers"], behind_a_proxy["headers"]])
    assert not any(re.search(rf"{re.escape(each.host.address)}(?!\d)", said) for each in cluster.nodes.values())


@pytest.mark.parametrize("name", ["Sandy-Passed-On", "sandy-passed-on"])
def test_an_application_does_not_see_what_nodes_tell_each_other(node, way, name):
    for headers in ({}, {name: "forged"}):
        assert values(way(node).report("/", headers=headers), name) == []


def test_an_application_does_not_see_what_its_client_says_of_the_connection(node, way):
    seen = way(node).report("/", headers={"Connection": "X-Mine, keep-alive", "X-Mine": "1", "X-Other": "2"})
    assert values(seen, "X-Mine") == [] and values(seen, "X-Other") == ["2"]


def test_large_bodies_are_exact_both_ways(node, way):
    sent = os.urandom(20 * MEBIBYTE)
    assert way(node).report("/", "POST", sent)["sha256"] == hashlib.sha256(sent).hexdigest()
    for deed in ("send", "send-chunked"):
        assert way(node).do(f"{deed} {20 * MEBIBYTE}").body == PATTERN * 20


def test_events_arrive_one_by_one_and_an_application_hears_that_its_reader_has_gone(app, node, way):
    target = "/" + secrets.token_hex(8)
    with way(node).wire("endless", target) as wire:
        begun = wire.head()
        assert begun.status == 200 and begun.header("content-type") == "text/event-stream"
        pieces = wire.body(begun)
        assert next(pieces).startswith(b"data: ")  # of an answer that has no end
    app.sees("gone", do="endless", target=target)


def test_messages_of_a_websocket_pass_both_ways(node, way):
    with websocket(way(node), "/ws") as socket:
        for message in ("text", "", "grüße", b"\x00\xff" * 100, os.urandom(MEBIBYTE)):
            socket.send(message)
            assert socket.recv(timeout=30) == message


def test_any_protocol_passes(node, way):
    with way(node).wire() as wire:
        wire.send(way(node).head_of("GET", "/", "Connection: Upgrade", "Upgrade: echo", "X-Do: upgrade echo"), b"at once")
        assert wire.head().status == 101
        assert wire.exactly(7) == b"at once"


def test_where_nothing_listens_it_is_said_as_by_one_server(cluster, node):
    with cluster.box(cluster.east) as empty:
        ask = lambda entered: Site(entered.server.base_url, {"Host": host(empty)}).visit("/")
        seen, known = ask(node), ask(cluster.east)
        assert (seen.status, seen.json()) == (known.status, known.json()) and seen.status == 502
        assert seen.json()["detail"].startswith("Upstream error")


def test_names_of_no_sandbox_are_not_found(cluster, node):
    for nobodys in (cluster.east.id + "0" * 18, cluster.controller.id + "0" * 18, "0" * 24):
        reply = Site(node.server.base_url, {"Host": host(nobodys)}).visit("/")
        assert (reply.status, reply.json()["detail"]) == (404, "Sandbox not found")


def test_a_signed_address_opens_a_private_port_through_every_node(cluster, app, node):
    assert Site(node.server.base_url, {"Host": f"{PRIVATE_PORT}-{host(app.box)}"}).visit("/").status == 403
    with node.api() as api:
        url = answer(api.http.post(f"/api/sandboxes/{app.box}/preview", json={"port": PRIVATE_PORT}))["url"]
    parts = urlsplit(url)
    for entered in cluster.nodes.values():
        site = Site(entered.server.base_url, {"Host": parts.netloc})
        opened = site.visit(f"{parts.path or '/'}?{parts.query}")
        (cookie,) = opened.all("set-cookie")
        assert site.report("/", headers={"Cookie": cookie.split(";")[0]})["port"] == PRIVATE_PORT


def test_the_key_of_another_tenant_does_not_open_the_proxys_path(app, node):
    with node.api(clusters.STRANGER) as stranger:
        assert stranger.http.get(f"/api/sandboxes/{app.box}/proxy/{RUNTIME_PORT}/").status_code == 404


def test_applications_of_several_nodes_are_reached_on_one_connection(cluster, app, node):
    with cluster.box(cluster.west, resources=SMALL["resources"]) as box, cluster.west.api() as api:
        other = start_app(api, box)
        with Site(node.server.base_url, {}).wire() as wire:
            for each in (app, other) * 3:
                assert wire.call("GET", f"/{each.box}", {"Host": host(each.box)}).json()["target"] == f"/{each.box}"
