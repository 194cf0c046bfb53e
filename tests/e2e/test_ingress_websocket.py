"""WebSockets, and other protocols that a connection is upgraded to."""

import contextlib
import hashlib
import os

import pytest
from ingress import SUFFIX, app_of_its_own, host, start_app, websocket
from memory import forget_peak, resident_bytes
from websockets.exceptions import ConnectionClosed, InvalidStatus

MEGABYTE = 1 << 20
TUNNELS = 100
OTHER_PORT = 3000


@pytest.fixture(scope="module")
def app(api):
    with app_of_its_own(api, expose_ports=[OTHER_PORT], resources={"memory": "1Gi", "pids": 1024}) as app:
        start_app(api, app.box, OTHER_PORT)
        yield app


def echoes(socket) -> bool:
    socket.send("over there?")
    return socket.recv(timeout=30) == "over there?"


def test_messages_pass_both_ways(app):
    with websocket(app.site) as socket:
        for message in ("text", "", "gr\u00fc\u00dfe \U0001f600", b"", b"\x00\xff" * 100, os.urandom(70_000)):
            socket.send(message)
            assert socket.recv(timeout=30) == message
        assert socket.ping().wait(30)


def test_a_message_may_be_large_and_come_in_fragments(app, server):
    forget_peak(server)
    before = resident_bytes(server)
    with websocket(app.site) as socket:
        large = os.urandom(32 * MEGABYTE)
        socket.send(large)
        assert hashlib.sha256(socket.recv(timeout=60)).digest() == hashlib.sha256(large).digest()
        socket.send(iter(["in ", "three ", "parts"]))
        assert socket.recv(timeout=30) == "in three parts"
    assert resident_bytes(server, "VmHWM") - before < 16 * MEGABYTE


@pytest.mark.parametrize("offered", [["vite-hmr"], ["vite-ping"], ["binary", "base64"]])
def test_the_subprotocol_is_the_applications_choice(app, offered):
    with websocket(app.site, subprotocols=offered) as socket:
        assert socket.subprotocol == offered[0]


def test_path_query_and_headers_pass(app):
    target = "/ws/x?token=a%2Fb&c"
    with websocket(app.site, target, origin="http://elsewhere.example", headers={"Cookie": "a=b"}) as socket:
        assert echoes(socket)
    request = next(each for each in app.events("request") if target in each["line"])
    seen = {name.lower(): value for name, value in request["headers"]}
    assert seen["host"] == host(app.box) and seen["origin"] == "http://elsewhere.example" and seen["cookie"] == "a=b"
    assert seen["x-forwarded-for"] == "127.0.0.1" and seen["upgrade"] == "websocket" and seen["connection"].lower() == "upgrade"


def test_either_side_closes_with_its_code(app):
    with websocket(app.site, "/close") as socket:
        socket.close(4001, "enough")
    assert app.sees("closed", target="/close")["code"] == 4001
    with websocket(app.site, headers={"X-Do": "websocket 4002"}) as socket, pytest.raises(ConnectionClosed) as ended:
        socket.recv(timeout=30)
    assert (ended.value.rcvd.code, ended.value.rcvd.reason) == (4002, "as asked")


@pytest.mark.parametrize("way", ["port by name", "header", "proxy path", "public path"])
def test_every_way_to_a_port_leads_to_its_websockets(api, app, way):
    key = api.http.headers["Authorization"]
    site = {
        "port by name": lambda: app.at(host=f"{OTHER_PORT}-{host(app.box)}"),
        "header": lambda: app.at(host="127.0.0.1", x_sandy_host=host(app.box)),
        "proxy path": lambda: app.at(host="127.0.0.1", authorization=key),
        "public path": lambda: app.at(host="127.0.0.1"),
    }[way]()
    site.prefix = {"proxy path": f"/api/sandboxes/{app.box}/proxy/{OTHER_PORT}", "public path": f"/sandbox/{app.box}"}.get(way, "")
    target = "/" + way.replace(" ", "-")
    with websocket(site, target) as socket:
        assert echoes(socket)
    assert app.sees("websocket", target=target) if "port" not in way and way != "proxy path" else True


def refused(site, **settings) -> int:
    with pytest.raises(InvalidStatus) as refusal:
        websocket(site, **settings)
    return refusal.value.response.status_code


def test_what_cannot_be_reached_is_refused_as_any_request(api, app):
    assert refused(app.at(host=host("0" * 16))) == 404
    assert refused(app.at(host=f"4444-{host(app.box)}")) == 404
    with api.box() as empty:
        assert refused(app.at(host=host(empty))) == 502
    unknown = app.at(host="127.0.0.1")
    unknown.prefix = f"/api/sandboxes/{app.box}/proxy/{OTHER_PORT}"
    assert refused(unknown) == 401


def test_an_application_may_refuse_and_the_connection_goes_on(app):
    with app.site.wire() as wire:
        asked = {**app.site.headers, "Connection": "Upgrade", "Upgrade": "websocket", "X-Do": "refuse-upgrade"}
        reply = wire.call("GET", "/", asked)
        assert (reply.status, reply.body) == (426, b"no")
        assert wire.call("GET", "/", app.site.headers).status == 200


def test_many_tunnels_at_once(app):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(websocket(app.site)) for _ in range(TUNNELS)]
        for number, socket in enumerate(sockets):
            socket.send(str(number))
        assert [socket.recv(timeout=30) for socket in sockets] == [str(number) for number in range(TUNNELS)]
        assert app.site.visit().status == 200


def test_each_side_hears_that_the_other_is_gone(api, app):
    with websocket(app.site, "/vanishes") as socket:
        assert echoes(socket)
        socket.socket.shutdown(2)
    app.sees("gone", do="websocket", target="/vanishes")
    with app_of_its_own(api) as mortal, websocket(mortal.site) as socket:
        assert echoes(socket)
        api.exec(mortal.box, "pkill -9 -f [w]eb_app.py")
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=30)


# -- any protocol ----------------------------------------------------------------------------------------------


def upgraded(app, wire, target="/", behind=b"") -> None:
    wire.send(app.site.head_of("GET", target, "Connection: Upgrade", "Upgrade: echo", "X-Do: upgrade echo"), behind)
    reply = wire.head()
    assert (reply.status, reply.header("upgrade"), reply.header("x-from")) == (101, "echo", "application")
    assert reply.header("connection").lower() == "upgrade" and reply.header("content-length") is reply.header("transfer-encoding") is None


def test_bytes_sent_behind_the_head_are_the_protocols(app):
    with app.site.wire() as wire:
        upgraded(app, wire, behind=b"GET / HTTP/1.1\r\n\r\n")
        assert wire.exactly(18) == b"GET / HTTP/1.1\r\n\r\n"


def test_a_tunnel_is_ended_one_way_at_a_time(app):
    with app.site.wire() as wire:
        upgraded(app, wire, "/half-closed")
        wire.send(b"last words")
        wire.socket.shutdown(1)
        assert wire.rest() == b"last wordsbye"
    app.sees("gone", do="upgrade", target="/half-closed", why="end")


def test_a_tunnel_holds_back_who_sends_too_much(app, server):
    forget_peak(server)
    before = resident_bytes(server)
    with app.site.wire(receive_buffer=65536) as wire:
        upgraded(app, wire)
        wire.socket.settimeout(1)
        sent = 0
        with pytest.raises(TimeoutError):  # nobody reads what comes back
            while sent < 64 * MEGABYTE:
                sent += wire.socket.send(bytes(65536))
        wire.socket.settimeout(30)
        assert wire.exactly(sent) == bytes(sent)
    assert resident_bytes(server, "VmHWM") - before < 16 * MEGABYTE


def test_an_upgrade_needs_its_connection_header(app):
    """Without it, Upgrade is a header for somebody else, and the request a request like others."""
    report = app.site.report("/", headers={"Upgrade": "echo"})
    assert "upgrade" not in {name.lower() for name, _ in report["headers"]}


def test_a_websocket_of_a_name_with_other_case(app):
    with websocket(app.at(host=app.box.upper() + SUFFIX.upper())) as socket:
        assert echoes(socket)
