"""Connections of clients, and what is sent to make two readers of one request disagree."""

import base64
import time

import pytest
from ingress import app_of_its_own, host
from raw_http import Cut


@pytest.fixture(scope="module")
def app(api):
    with app_of_its_own(api) as app:
        yield app


@pytest.fixture(scope="module")
def other(api):
    with app_of_its_own(api) as app:
        yield app


# -- connections -----------------------------------------------------------------------------------------------


def test_a_connection_serves_many_requests_and_so_does_the_one_behind_it(app):
    with app.site.wire() as wire:
        reports = [wire.call("GET", f"/{number}", app.site.headers).json() for number in range(50)]
    assert [each["target"] for each in reports] == [f"/{number}" for number in range(50)]
    assert len({each["connection"] for each in reports}) <= 2, "connections into the sandbox are kept"


def test_a_connection_may_lead_to_several_sandboxes_and_to_the_api(app, other):
    with app.site.wire() as wire:
        for each in (app, other, app):
            seen = dict(map(tuple, wire.call("GET", "/", each.site.headers).json()["headers"]))
            assert seen["Host"] == host(each.box)
            assert wire.call("GET", "/api/health", {"Host": "127.0.0.1"}).json()["status"] == "ok"


def test_requests_sent_together_are_answered_in_order(app):
    with app.site.wire() as wire:
        heads = [app.site.head_of("POST", f"/{number}", "Content-Length: 3") + f"{number:03}" for number in range(20)]
        wire.send(*heads)
        reports = [wire.reply().json() for _ in heads]
    assert [each["target"] for each in reports] == [f"/{number}" for number in range(20)]
    assert [base64.b64decode(each["body"]) for each in reports] == [b"%03d" % number for number in range(20)]


def test_close_is_heard(app):
    with app.site.wire() as wire:
        reply = wire.call("GET", "/", {**app.site.headers, "Connection": "close"})
        assert reply.status == 200 and reply.header("connection") == "close"
        assert wire.is_closed()


def test_a_client_that_waits_for_100_sends_its_body_then(app):
    with app.site.wire() as wire:
        wire.send(app.site.head_of("PUT", "/", "Expect: 100-continue", "Content-Length: 5"))
        assert wire.until(b"\r\n\r\n").split(b" ")[1] == b"100"
        wire.send("hello")
        reply = wire.reply("PUT")
        assert reply.status == 200 and base64.b64decode(reply.json()["body"]) == b"hello"


def test_a_client_that_waits_for_100_may_be_refused_at_once(app):
    refusal = base64.b64encode(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno").decode()
    with app.site.wire() as wire:
        wire.send(app.site.head_of("PUT", "/", "Expect: 100-continue", "Content-Length: 5", f"X-Do: early {refusal}"))
        reply = wire.head()
        assert reply.status == 413
        assert b"".join(wire.body(reply)) == b"no"


def test_an_answer_may_come_before_the_body_has_been_sent(app):
    early = base64.b64encode(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno").decode()
    with app.site.wire() as wire:
        wire.send(app.site.head_of("POST", "/", "Content-Length: 1000000", f"X-Do: early {early}"), "begun")
        reply = wire.head()
        assert reply.status == 403 and b"".join(wire.body(reply)) == b"no"


def test_one_byte_at_a_time_is_a_request(app):
    with app.site.wire() as wire:
        for byte in app.site.head_of("POST", "/slowly", "Content-Length: 4") + "body":
            wire.send(byte)
            time.sleep(0.002)
        report = wire.reply().json()
    assert report["target"] == "/slowly" and base64.b64decode(report["body"]) == b"body"


# -- attempts to smuggle ---------------------------------------------------------------------------------------

INNER = "GET /smuggled HTTP/1.1\r\nHost: {host}\r\n\r\n"

# What follows the request line and the host, and the bytes behind the head.
AMBIGUOUS = {
    "both lengths": ("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n{inner}"),
    "both, the other way round": ("Transfer-Encoding: chunked\r\nContent-Length: 6\r\n", "0\r\n\r\n{inner}"),
    "two lengths": ("Content-Length: 0\r\nContent-Length: 60\r\n", "{inner}"),
    "a list of lengths": ("Content-Length: 0, 60\r\n", "{inner}"),
    "a signed length": ("Content-Length: +5\r\n", "hello{inner}"),
    "a hexadecimal length": ("Content-Length: 0x5\r\n", "hello{inner}"),
    "a length beyond all numbers": ("Content-Length: 18446744073709551617\r\n", "x{inner}"),
    "a length with a blank inside": ("Content-Length: 1 0\r\n", "0123456789{inner}"),
    "a negative length": ("Content-Length: -1\r\n", "{inner}"),
    "a blank before the colon": ("Transfer-Encoding : chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n{inner}"),
    "chunked, not last": ("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n{inner}"),
    "chunked twice": ("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n{inner}"),
    "two codings": ("Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n", "0\r\n\r\n{inner}"),
    "an unknown coding": ("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n{inner}"),
    "a folded coding": ("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n{inner}"),
    "a vertical tab before chunked": ("Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n{inner}"),
    "a folded header": ("X-A: 1\r\n Content-Length: 60\r\n", "{inner}"),
    "a line of blanks": (" \r\nContent-Length: 60\r\n", "{inner}"),
    "two hosts": ("Host: elsewhere.sandy.localhost\r\n", "{inner}"),
    "a zero in a name": ("X-\x00A: 1\r\n", "{inner}"),
    "a zero in a value": ("X-A: a\x00b\r\n", "{inner}"),
    "a lone carriage return in a value": ("X-A: a\rContent-Length: 60\r\n", "{inner}"),
    "a header without a colon": ("Content-Length\r\n", "{inner}"),
    "a header without a name": (": 5\r\n", "{inner}"),
    "a chunk beyond all numbers": ("Transfer-Encoding: chunked\r\n", "10000000000000005\r\nhello\r\n0\r\n\r\n{inner}"),
    "a chunk of a negative size": ("Transfer-Encoding: chunked\r\n", "-1\r\nx\r\n0\r\n\r\n{inner}"),
    "a chunk with 0x": ("Transfer-Encoding: chunked\r\n", "0x5\r\nhello\r\n0\r\n\r\n{inner}"),
    "a chunk with a blank before its size": ("Transfer-Encoding: chunked\r\n", " 5\r\nhello\r\n0\r\n\r\n{inner}"),
    "a chunk longer than it says": ("Transfer-Encoding: chunked\r\n", "3\r\nhello\r\n0\r\n\r\n{inner}"),
    "a chunk without its end": ("Transfer-Encoding: chunked\r\n", "5\r\nhello0\r\n\r\n{inner}"),
    "a chunk size ended by a bare line feed": ("Transfer-Encoding: chunked\r\n", "5\nhello\r\n0\r\n\r\n{inner}"),
    "an extension with a bare line feed": ("Transfer-Encoding: chunked\r\n", "5;a\n0\r\n\r\n\r\nhello\r\n0\r\n\r\n{inner}"),
    "an endless extension": ("Transfer-Encoding: chunked\r\n", "5;" + "a" * 200_000 + "\r\nhello\r\n0\r\n\r\n{inner}"),
}  # fmt: skip


@pytest.mark.parametrize("kind", AMBIGUOUS)
def test_what_can_be_read_in_two_ways_is_refused_and_the_connection_ends(app, kind):
    """Nothing of it may come to an application as a request of its own."""
    headers, rest = AMBIGUOUS[kind]
    mark = kind.replace(" ", "-")
    head = f"POST /outer HTTP/1.1\r\nHost: {host(app.box)}\r\n{headers}\r\n"
    with app.site.wire() as wire:
        wire.send((head + rest.replace("{inner}", INNER.format(host=host(app.box)).replace("/smuggled", f"/smuggled-{mark}"))).encode("latin-1"))
        try:
            status = wire.head().status
        except Cut:
            status = None  # an answer may be overtaken by the reset of what we still send
        wire.rest()
    assert status in (400, 413, 431, 501, None), status
    assert not [each for each in app.events("request") if f"/smuggled-{mark}" in each["line"]]


LINES = ["GET  / HTTP/1.1", "GET /\tHTTP/1.1", "GET / HTTP/1.1 x", "GET / HTTP/2.0", "GET / HTTP/1.2x", "GET /a b HTTP/1.1", "GET", "G@T / HTTP/1.1",
         " GET / HTTP/1.1", "GET / http/1.1", "GET \x00 HTTP/1.1", "GET /\x7f HTTP/1.1", "\x16\x03\x01\x02\x00\x01"]  # fmt: skip


@pytest.mark.parametrize("line", LINES, ids=ascii)
def test_a_request_line_that_is_none_is_refused(app, line):
    with app.site.wire() as wire:
        wire.send(f"{line}\r\nHost: {host(app.box)}\r\n\r\n".encode("latin-1"))
        answer = wire.rest()
    assert answer == b"" or answer.split(b" ", 2)[1] in (b"400", b"505"), answer[:200]


def test_bare_line_feeds_end_no_line_of_a_head(app):
    with app.site.wire() as wire:
        wire.send(f"GET /bare HTTP/1.1\nHost: {host(app.box)}\n\nGET /smuggled-bare HTTP/1.1\r\nHost: {host(app.box)}\r\n\r\n")
        answer = wire.rest()
    assert answer == b"" or answer.split(b" ", 2)[1] == b"400", answer[:200]
    assert not [each for each in app.events("request") if "bare" in each["line"]]


@pytest.mark.parametrize("head", ["GET /" + "a" * 200_000 + " HTTP/1.1\r\n", "GET / HTTP/1.1\r\nX-Long: " + "a" * 200_000 + "\r\n",
                                  "GET / HTTP/1.1\r\n" + "".join(f"X-{number}: 1\r\n" for number in range(20_000))],
                         ids=["target", "value", "number"])  # fmt: skip
def test_heads_are_bounded(app, head):
    with app.site.wire() as wire:
        try:
            wire.send(head + f"Host: {host(app.box)}\r\n\r\n")
            status = wire.head().status
        except (Cut, ConnectionError):
            status = None
    assert status in (414, 431, None)


def test_a_client_that_stops_within_its_head_or_body_leaves_no_request_half_done(app):
    with app.site.wire() as wire:
        wire.send(app.site.head_of("POST", "/stops", "Content-Length: 10", "X-Do: pieces"), "12345")
        app.sees("piece", target="/stops", text="12345")
    app.sees("gone", do="pieces", target="/stops")
    with app.site.wire() as wire:
        wire.send("GET /half HTTP/1.1\r\nHos")
    assert app.site.visit().status == 200


# -- what hostile applications answer --------------------------------------------------------------------------

BROKEN = {
    "both lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokk",
    "no length": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nok",
    "a folded header": b"HTTP/1.1 200 OK\r\nX-A: 1\r\n b: 2\r\nContent-Length: 2\r\n\r\nok",
    "no status": b"HTTP/1.1 OK\r\nContent-Length: 2\r\n\r\nok",
    "a status of four digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok",
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "no protocol": b"hello\n\n",
    "a blank before the colon": b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
    "a zero in a header": b"HTTP/1.1 200 OK\r\nX-A: a\x00b\r\nContent-Length: 2\r\n\r\nok",
    "an endless head": b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 20_000 + b"\r\nX-B: " + b"b" * 60_000 + b"\r\nContent-Length: 2\r\n\r\nok",
    "nothing": b"",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-",
    "an upgrade that nobody asked for": b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
}  # fmt: skip


@pytest.fixture
def hostile(api, app):
    """Makes what listens inside answer every connection with bytes that no request header could carry."""
    def start(answer: bytes, port: int):
        script = ("import base64, socket\nanswer = base64.b64decode(input())\n"
                  f"listener = socket.create_server(('', {port}))\nopen('/tmp/hostile-{port}', 'w').close()\n"
                  "while True:\n c, _ = listener.accept()\n c.recv(65536)\n c.sendall(answer)\n c.shutdown(1)\n c.recv(65536)\n c.close()\n")  # fmt: skip
        api.write(app.box, f"/tmp/hostile-{port}.py", script)
        api.write(app.box, f"/tmp/hostile-{port}.in", base64.b64encode(answer).decode() + "\n")
        api.output(app.box, f"rm -f /tmp/hostile-{port}; (exec python3 /tmp/hostile-{port}.py </tmp/hostile-{port}.in >/dev/null 2>&1 &)"
                            f"; for i in $(seq 200); do [ -e /tmp/hostile-{port} ] && exit; sleep 0.05; done; exit 1")  # fmt: skip

    return start


@pytest.mark.parametrize("kind", BROKEN)
def test_an_answer_that_is_none_is_502(api, app, hostile, kind):
    port = 6000 + list(BROKEN).index(kind)
    hostile(BROKEN[kind], port)
    reply = api.http.get(f"/api/sandboxes/{app.box}/proxy/{port}/")
    assert reply.status_code == 502, (reply.status_code, reply.text[:200])
    assert reply.json()["detail"].startswith("Upstream error: ")


def test_what_follows_an_answer_is_nobodys(app):
    """An application cannot put an answer before the next client's."""
    junk = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\npoison!"
    with app.site.wire() as wire:
        for _ in range(10):
            own = {**app.site.headers, "X-Do": "raw " + base64.b64encode(junk).decode()}
            assert wire.call("GET", "/", own).body == b"ok"
            assert b"poison" not in wire.call("GET", "/after", app.site.headers).body


@pytest.mark.parametrize("deed", ["half", "half-reset"])
def test_an_answer_that_breaks_off_is_seen_to_break_off(app, deed):
    with app.site.wire(deed) as wire:
        reply = wire.head()
        assert reply.status == 200
        with pytest.raises(Cut):
            b"".join(wire.body(reply))
    assert app.site.visit().status == 200


def test_a_chunked_answer_that_breaks_off_has_no_end(app):
    with app.site.wire("raw-close " + base64.b64encode(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nhe").decode()) as wire:
        reply = wire.head()
        with pytest.raises(Cut):
            b"".join(wire.body(reply))
