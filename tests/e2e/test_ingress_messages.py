"""What an application sees of a request, and its client of the answer: everything, byte by byte, but what belongs to a connection."""

import base64
import hashlib

import pytest
from ingress import RUNTIME_PORT, app_of_its_own, host

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"


@pytest.fixture(scope="module")
def app(api):
    with app_of_its_own(api) as app:
        yield app


def values(report: dict, name: str) -> list:
    return [value for key, value in report["headers"] if key.lower() == name.lower()]


# -- requests --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "M-SEARCH"])
@pytest.mark.parametrize("body", [None, b"", b"some \x00 bytes \xff"])
def test_methods_and_bodies_pass(app, method, body):
    report = app.site.report("/x", method, body)
    assert report["method"] == method
    assert base64.b64decode(report["body"]) == (body or b"")


TARGETS = [
    "/?", "/?a=1&a=2&b", "/a?x=%2F&y=a+b&z=%C3%BC", "/a/../b", "/a/./b/.", "/..", "//double//slash//", "/%2e%2e/%2F/x", "/a%00b", "/a%zz%", "/%",
    "/;a=1/b;c", "/a:b@c!$&'()*+,=", "/~user/[x]{y}|z^`\"<>\\", "/x?q=http://h/?a#", "/" + "long" * 2000, "/?" + "q" * 8000, "/a?b?c??",
    "/api/sandboxes/../x", "/artifacts/../x", "/sandbox//",
]  # fmt: skip


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target[:30])
def test_paths_and_queries_pass_to_the_byte(app, target):
    assert app.site.report(target)["target"] == target


def test_a_target_with_its_host_reaches_the_path(app):
    report = app.site.report(f"http://{host(app.box)}/path?query")
    assert report["target"] in ("/path?query", f"http://{host(app.box)}/path?query")


def test_options_for_the_whole_server_pass(app):
    assert app.site.report("*", "OPTIONS")["target"] == "*"


def test_headers_pass_with_their_order_and_repetitions(app):
    given = [("X-A", "1"), ("x-b", "two  words"), ("X-A", "2"), ("X-Empty", ""), ("X-Latin", "gr\xfc\xdf"), ("X-A", "3, 4")]
    with app.site.wire() as wire:
        head = app.site.head_of("GET", "/", *(f"{name}: {value}" for name, value in given))
        wire.send(head.encode("latin-1"))
        report = wire.reply().json()
    seen = [tuple(pair) for pair in report["headers"] if pair[0].lower().startswith("x-") and not pair[0].lower().startswith("x-forwarded")]
    assert [pair for pair in seen if pair[0].lower() != "x-request-id"] == given


def test_headers_of_the_connection_stay_behind(app):
    given = {"Connection": "keep-alive, X-Private , X-Also", "X-Private": "1", "X-Also": "2", "Keep-Alive": "timeout=5", "TE": "trailers",
             "Proxy-Connection": "keep-alive", "Proxy-Authorization": "Basic eA==", "X-Kept": "3"}  # fmt: skip
    report = app.site.report("/", headers=given)
    names = {name.lower() for name, _ in report["headers"]}
    assert "x-kept" in names
    assert not names & {"x-private", "x-also", "keep-alive", "te", "proxy-connection", "proxy-authorization", "upgrade"}
    assert values(report, "connection") in ([], ["keep-alive"])


def test_connection_cannot_take_away_what_frames_and_addresses_a_request(app):
    report = app.site.report("/", "POST", b"body", headers={"Connection": "close, Content-Length, Host, X-Forwarded-For, X-Forwarded-Host"})
    assert base64.b64decode(report["body"]) == b"body"
    assert values(report, "host") == [host(app.box)] and len(values(report, "x-forwarded-for")) == 1


def test_the_application_learns_who_asked_for_what(app, server):
    report = app.site.report("/", headers={"Host": f"{host(app.box)}:7777"})
    assert values(report, "host") == [host(app.box)]
    assert values(report, "x-forwarded-for") == ["127.0.0.1"]
    assert values(report, "x-forwarded-proto") == ["http"]
    assert values(report, "x-forwarded-host")[0].split(":")[0] == host(app.box)
    (forwarded,) = values(report, "forwarded")
    parts = dict(part.strip().split("=", 1) for part in forwarded.split(";"))
    assert parts["for"].strip('"') == "127.0.0.1" and parts["proto"] == "http"
    assert parts["host"].strip('"').split(":")[0] == host(app.box)


def test_a_proxy_in_front_is_heard(app):
    report = app.site.report("/", headers={"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"})
    assert ", ".join(values(report, "x-forwarded-for")) == "192.0.2.7, 127.0.0.1"
    assert values(report, "x-forwarded-proto") == ["https"]


def test_the_names_that_chose_the_sandbox_do_not_choose_again_inside(app):
    report = app.at(host="127.0.0.1").report("/", headers={"X-Sandy-Host": host(app.box)})
    assert values(report, "x-sandy-host") == [] and values(report, "host") == [host(app.box)]


def test_trailers_of_a_request_are_dropped(app):
    with app.site.wire() as wire:
        wire.send(app.site.head_of("POST", "/", "Transfer-Encoding: chunked", "Trailer: X-Sum"), "5\r\nhello\r\n0\r\nX-Sum: 5\r\n\r\n")
        report = wire.reply().json()
        assert report["trailers"] == [] and base64.b64decode(report["body"]) == b"hello"
        assert wire.call("GET", "/", app.site.headers).status == 200


def test_a_sized_body_stays_sized_and_a_chunked_one_stays_whole(app):
    sized = app.site.report("/", "POST", b"x" * 1000)
    assert values(sized, "content-length") == ["1000"] and values(sized, "transfer-encoding") == []
    with app.site.wire() as wire:
        wire.send(app.site.head_of("POST", "/", "Transfer-Encoding: chunked"), "3;ext=1\r\nabc\r\n000004\r\ndefg\r\n0\r\n\r\n")
        report = wire.reply().json()
    assert base64.b64decode(report["body"]) == b"abcdefg"


# -- answers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202, 206, 299, 300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 418, 422, 429, 451, 500, 501, 502, 503, 504, 599])
def test_every_status_passes_with_its_body(app, status):
    reply = app.site.raw(b"HTTP/1.1 %d Some Reason\r\nContent-Type: text/x\r\nContent-Length: 4\r\n\r\nbody" % status)
    assert (reply.status, reply.header("content-type"), reply.body) == (status, "text/x", b"body")
    assert reply.header("content-length") == "4"


@pytest.mark.parametrize("location", ["/next", "http://127.0.0.1:5173/x", "https://elsewhere.example/a?b#c", "//x", "relative"])
def test_redirects_are_the_clients_to_follow(app, location):
    reply = app.site.raw(b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % location.encode())
    assert (reply.status, reply.header("location")) == (302, location)


def test_headers_of_an_answer_pass_with_their_order_and_repetitions(app):
    given = [("Set-Cookie", "a=1; Path=/; HttpOnly"), ("ETag", 'W/"x"'), ("Set-Cookie", "b=2"), ("X-A", "1"), ("Access-Control-Allow-Origin", "*"),
             ("X-a", "2"), ("Last-Modified", "yesterday"), ("Cache-Control", "no-store"), ("Server", "mine"), ("Date", "Sat, 01 Jan 2000 00:00:00 GMT"),
             ("Vary", "Accept"), ("X-Request-Id", "the application's"), ("Content-Encoding", "gzip"), ("X-Empty", "")]  # fmt: skip
    lines = "".join(f"{name}: {value}\r\n" for name, value in given)
    reply = app.site.raw(OK + lines.encode() + b"\r\n\x1f\x8b", headers={"Accept-Encoding": "identity"})
    names = {name.lower() for name, _ in given}
    assert [pair for pair in reply.headers if pair[0].lower() in names] == given
    assert reply.body == b"\x1f\x8b"


def test_nothing_is_compressed(app):
    body = b"a" * 5000
    reply = app.site.raw(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(body) + body, headers={"Accept-Encoding": "gzip, br"})
    assert reply.header("content-encoding") is None and reply.body == body


def test_headers_of_the_applications_connection_stay_behind(app):
    given = b"Connection: keep-alive, X-Private\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: x\r\nX-Kept: 2\r\n"
    reply = app.site.raw(OK + given + b"\r\nok")
    assert reply.header("x-kept") == "2"
    assert reply.header("x-private") is reply.header("keep-alive") is reply.header("proxy-authenticate") is None


@pytest.mark.parametrize("headers", [b"", b"Content-Length: 12345\r\n", b"ETag: \"x\"\r\n"])
@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_a_body_end_with_their_head(app, status, headers):
    with app.site.wire() as wire:
        own = {**app.site.headers, "X-Do": "raw " + base64.b64encode(b"HTTP/1.1 %d X\r\n%s\r\n" % (status, headers if status == 304 else b"")).decode()}
        for _ in range(2):  # the connection goes on
            reply = wire.call("GET", "/", own)
            assert (reply.status, reply.body) == (status, b"")
            assert status == 304 or reply.header("content-length") is None
        assert wire.call("GET", "/", app.site.headers).status == 200


def test_the_answer_to_head_has_the_length_and_no_body(app):
    with app.site.wire() as wire:
        for _ in range(2):
            reply = wire.call("HEAD", "/", app.site.headers)
            assert reply.status == 200 and int(reply.header("content-length")) > 0
        assert wire.call("GET", "/", app.site.headers).json()["method"] == "GET"
    reply = app.site.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 123456789\r\n\r\n", method="HEAD")
    assert reply.header("content-length") == "123456789"
    reply = app.site.raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", method="HEAD")
    assert reply.status == 200 and reply.header("content-length") is None


@pytest.mark.parametrize("deed", ["send", "send-chunked", "send-close"])
@pytest.mark.parametrize("size", [0, 1, 65_536, 3_000_000])
def test_bodies_arrive_whole_however_they_are_framed(app, deed, size):
    reply = app.site.do(f"{deed} {size}")
    piece = hashlib.shake_128(b"pattern").digest(1 << 20)
    assert reply.status == 200 and reply.body == (piece * (size // len(piece) + 1))[:size]
    assert (reply.header("content-length") == str(size)) == (deed == "send")


def test_an_answer_of_http_1_0_is_one_of_http_1_1(app):
    reply = app.site.raw(b"HTTP/1.0 200 Fine\r\nContent-Type: text/plain\r\n\r\nuntil the end", deed="raw-close")
    assert (reply.status, reply.body) == (200, b"until the end")


def test_a_client_of_http_1_0_is_served(app):
    with app.site.wire() as wire:
        wire.send(f"GET / HTTP/1.0\r\nHost: {host(app.box)}\r\n\r\n")
        answer = wire.rest()
        assert answer.split(b" ", 2)[1] == b"200" and b"transfer-encoding" not in answer.lower()
    with app.site.wire() as wire:  # it knows no chunks
        wire.send(f"GET / HTTP/1.0\r\nHost: {host(app.box)}\r\nX-Do: send-chunked 1000\r\n\r\n")
        head, _, body = wire.rest().partition(b"\r\n\r\n")
        assert b"transfer-encoding" not in head.lower() and len(body) == 1000


def test_trailers_of_an_answer_are_dropped(app):
    with app.site.wire("trailers") as wire:
        reply = wire.reply()  # the client fails at a trailer
        assert reply.body == b"hello" and reply.header("trailer") is None
        assert wire.call("GET", "/", app.site.headers).json()["port"] == RUNTIME_PORT


def test_interim_answers_do_not_confuse_the_final_one(app):
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
    reply = app.site.raw(hints + hints + OK + b"\r\nok")
    assert (reply.status, reply.body) == (200, b"ok")
    assert reply.interim in ([], [103, 103]) and reply.header("link") is None
