"""Sandboxes that are not there, pause, end, or lose their server, seen by those who visit them."""

import contextlib
import re
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from ingress import Site, app_of_its_own, host, start_app
from leftovers import leftovers
from raw_http import Cut
from service import Service, answer
from waiting import wait_until, wait_until_empty


@pytest.fixture
def own(sandyd):
    """A server of the test's own, and the service it offers."""
    server = sandyd()
    with Service(server.base_url, server.api_key) as service:
        yield server, service


def tunnel(app, wire) -> None:
    wire.send(app.site.head_of("GET", "/", "Connection: Upgrade", "Upgrade: echo", "X-Do: upgrade echo"))
    assert wire.head().status == 101


@contextlib.contextmanager
def busy(app):
    """A stream, a tunnel, a request without an answer, an upload, and a connection that is only kept; all begun."""
    with contextlib.ExitStack() as stack:
        stream, hanging, upload, kept, through = (stack.enter_context(app.site.wire(deed)) for deed in ("endless", "hang", None, None, None))
        body = stream.body(stream.head())
        next(body)
        tunnel(app, through)
        upload.send(app.site.head_of("POST", "/", "Transfer-Encoding: chunked", "X-Do: pieces"), "3\r\none\r\n")
        app.sees("piece", text="one")
        assert kept.call("GET", "/", app.site.headers).status == 200
        yield stream, body, hanging, upload, through


def is_cut(wire, body=None) -> bool:
    """Waits for the end of a connection. @param body what is read of an answer that has begun"""
    try:
        for _ in body or ():
            pass
        return body is None and wire.is_closed()
    except (Cut, ConnectionError):
        return True


def test_nothing_is_left_of_a_sandbox_that_ends_while_it_is_visited(own):
    server, service = own
    with app_of_its_own(service) as app, busy(app) as (stream, body, hanging, upload, through):
        service.terminate(app.box)
        wait_until_empty(lambda: leftovers(server), "what is left")
        assert is_cut(stream, body) and is_cut(through)
        for wire in (hanging, upload):  # an answer may still say so
            with contextlib.suppress(Cut):
                assert wire.reply().status in (404, 502)
        reply = app.site.visit()
        assert reply.status == 404 and reply.json()["detail"] == "Sandbox not found"


def test_a_sandbox_whose_lifetime_ends_is_not_kept_by_its_visitors(own):
    server, service = own
    with app_of_its_own(service, ttl_seconds=4) as app, app.site.wire("endless") as wire:
        assert is_cut(wire, wire.body(wire.head()))
        wait_until_empty(lambda: leftovers(server), "what is left")


def test_a_sandbox_that_still_starts_says_so_and_when_to_come_again(sandyd, tmp_path):
    """Its id is known to what makes it, before its caller knows it."""
    asked, go_on, crun = (tmp_path / name for name in ("asked", "go_on", "crun"))
    crun.write_text(f'#!/bin/bash\necho "$@" >>{asked}\nuntil [ -e {go_on} ]; do sleep 0.02; done\nexec {shutil.which("crun")} "$@"\n')
    crun.chmod(0o755)
    server = sandyd("--crun", crun)
    with Service(server.base_url, server.api_key) as service, ThreadPoolExecutor(1) as meanwhile:
        making = meanwhile.submit(service.create, ttl_seconds=600)
        try:
            named = wait_until(lambda: asked.exists() and re.search(r"\b[0-9a-f]{24}\b", asked.read_text()), "the sandbox is being made")
            site = Site(server.base_url, {"Host": host(named[0])})
            below = Site(server.base_url, {"Host": "127.0.0.1"}, f"/sandbox/{named[0]}")
            for reply in (site.visit(), site.visit("/", "POST", b"body"), below.visit()):
                assert reply.status == 503 and reply.header("retry-after") == "1"
                assert reply.json()["detail"] == "The sandbox is still starting"
        finally:
            go_on.touch()
        assert making.result()["sandboxId"] == named[0]
        assert site.visit().status == 502  # it is there, and nothing listens yet
        service.terminate(named[0])


def test_where_nothing_listens_is_502(api, box):
    site = Site(str(api.http.base_url).rstrip("/"), {"Host": host(box)})
    for method in ("GET", "POST"):
        reply = site.visit("/", method, b"body" if method == "POST" else None)
        assert reply.status == 502 and reply.json()["detail"].startswith("Upstream error: ")
    app = start_app(api, box)
    assert app.site.visit().status == 200  # the next visit finds what has come meanwhile


def test_what_listens_on_the_loopback_only_is_reached(api):
    """Development servers do by default."""
    for address in ("127.0.0.1", "::1"):
        with api.box() as box:
            script = f"import socket\nlistener = socket.create_server(('{address}', 5173), family=socket.{'AF_INET6' if ':' in address else 'AF_INET'})\nprint(1, flush=True)\n"
            script += "while True:\n c, _ = listener.accept()\n c.recv(9999)\n c.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok')\n c.close()\n"
            api.write(box, "/tmp/small.py", script)
            api.start(box, "exec python3 /tmp/small.py > /tmp/small")
            wait_until(lambda: api.exec(box, "[ -s /tmp/small ]")["exitCode"] == 0, "it listens")
            assert Site(str(api.http.base_url).rstrip("/"), {"Host": host(box)}).visit().body == b"ok", address


def test_a_paused_sandbox_is_409_until_it_is_resumed(api):
    with app_of_its_own(api) as app:
        with app.site.wire("endless") as wire:
            body = wire.body(wire.head())
            next(body)
            answer(api.http.post(f"/api/sandboxes/{app.box}/pause"))
            reply = app.site.visit()
            assert reply.status == 409 and reply.json()["error"]["code"] == "sandbox_paused"
            answer(api.http.post(f"/api/sandboxes/{app.box}/resume"))
            assert app.site.visit().status == 200
            with contextlib.suppress(Cut):  # a stream that was open may go on, or be cut; it must not hang
                next(body)


def test_a_visit_resumes_what_was_paused_because_nobody_came(api):
    with app_of_its_own(api, idle_timeout_seconds=1, pause_on_idle=True) as app:
        wait_until(lambda: answer(api.get(app.box))["paused"], "it is paused")
        assert app.site.visit().status == 200


def test_visits_and_open_streams_are_use(api):
    with app_of_its_own(api, idle_timeout_seconds=2) as app:
        with app.site.wire("endless") as wire:
            body = wire.body(wire.head())
            begun = time.monotonic()
            while time.monotonic() < begun + 4:
                next(body)
        for _ in range(8):
            time.sleep(0.5)
            assert app.site.visit().status == 200
        wait_until(lambda: api.get(app.box).status_code == 404, "unused, it ends")


def test_a_silent_tunnel_is_use(api):
    with app_of_its_own(api, idle_timeout_seconds=2) as app, app.site.wire() as wire:
        tunnel(app, wire)
        time.sleep(4)
        wire.send("still here")
        assert wire.exactly(10) == b"still here"


def test_a_killed_server_cuts_and_the_next_one_leads_there_again(own):
    server, service = own
    made = service.create(ttl_seconds=600)
    app = start_app(service, made["id"])
    with busy(app) as (stream, body, hanging, upload, through):
        server.kill()
        assert is_cut(stream, body) and is_cut(hanging) and is_cut(upload) and is_cut(through)
    server.start()
    with Service(server.base_url, server.api_key) as again:
        site = Site(server.base_url, {"Host": host(made["id"])})
        assert site.visit("/again").status == 200
        again.terminate(made["id"])
        wait_until_empty(lambda: leftovers(server), "what is left")


def test_a_server_that_stops_ends_what_it_carries_within_its_grace(sandyd):
    server = sandyd("--shutdown-grace", "1s")
    with Service(server.base_url, server.api_key) as service:
        app = start_app(service, service.create(ttl_seconds=600)["id"])
        with busy(app) as (stream, body, hanging, upload, through):
            begun = time.monotonic()
            assert server.stop() == 0
            assert time.monotonic() - begun < 15
            assert is_cut(stream, body)
            assert through.is_closed()  # in order, and not by a reset
    server.start()


def test_a_request_ends_well_while_the_server_stops(sandyd):
    server = sandyd("--shutdown-grace", "20s")
    with Service(server.base_url, server.api_key) as service:
        app = start_app(service, service.create(ttl_seconds=600)["id"])
        with app.site.wire("sse 4 0.3") as wire:
            reply = wire.head()
            server.process.terminate()
            assert b"".join(wire.body(reply)).count(b"data: ") == 4
        assert server.process.wait(20) == 0
    server.start()


def test_an_application_that_does_not_begin_its_answer_is_504(sandyd):
    server = sandyd("--upstream-timeout", "1s")
    with Service(server.base_url, server.api_key) as service, app_of_its_own(service) as app:
        reply = app.site.do("hang", "/too-slow")
        assert reply.status == 504 and reply.json()["detail"]
        app.sees("gone", do="hang", target="/too-slow")
        with app.site.wire("sse 2 2") as wire:  # begun is begun
            assert b"".join(wire.body(wire.head())).count(b"data: ") == 2


def metric(service, name: str) -> float:
    lines = service.http.get("/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def test_the_numbers_of_the_way_in_are_told(own):
    server, service = own
    with app_of_its_own(service) as app:
        assert app.site.visit().status == 200
        assert app.site.raw(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n").status == 503
        assert app.site.do("send 1000000").status == 200
        assert metric(service, 'sandy_ingress_requests_total{class="2xx"}') == 2
        assert metric(service, 'sandy_ingress_requests_total{class="5xx"}') == 1
        assert metric(service, "sandy_ingress_answer_seconds_count") >= 3
        assert metric(service, "sandy_ingress_bytes_total") >= 1_000_000
        with app.site.wire() as wire:
            tunnel(app, wire)
            wait_until(lambda: metric(service, "sandy_ingress_tunnels") == 1, "the tunnel is counted")
        wait_until(lambda: metric(service, "sandy_ingress_tunnels") == 0, "and no longer")
        assert app.box not in service.http.get("/metrics").text
