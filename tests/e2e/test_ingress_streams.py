"""Bodies on their way: as they come, of any size, no faster than they are read, and ended by either side's end."""

import contextlib
import hashlib
import json
import os
import time

import pytest
from ingress import App, app_of_its_own
from memory import forget_peak, resident_bytes
from raw_http import Cut
from waiting import wait_until

MEGABYTE = 1 << 20
LARGE = 200 * MEGABYTE
# What sockets hold on the way, and what the allocator keeps.
MOST_HELD = 64 * MEGABYTE
MOST_MEMORY = 24 * MEGABYTE
READERS = 200


@pytest.fixture(scope="module")
def app(api):
    with app_of_its_own(api, resources={"memory": "1Gi", "pids": 1024}) as app:
        yield app


@contextlib.contextmanager
def bounded_memory(server, most: int = MOST_MEMORY):
    """The block may cost the server so much at most, at any time."""
    forget_peak(server)
    before = resident_bytes(server)
    yield
    grown = resident_bytes(server, "VmHWM") - before
    assert grown < most, f"{grown / MEGABYTE:.0f} MiB more"


def chunk(text: str) -> str:
    return f"{len(text):x}\r\n{text}\r\n"


# -- as they come ----------------------------------------------------------------------------------------------


def test_events_arrive_one_by_one(app):
    with app.site.wire("sse 2 60") as wire:
        reply = wire.head()
        assert reply.header("content-type") == "text/event-stream" and reply.header("content-encoding") is None
        first = next(wire.body(reply))  # while the application waits a minute before the next
    assert json.loads(first.removeprefix(b"data: "))["number"] == 0


def test_a_stream_that_ends_ends_once(app):
    with app.site.wire("sse 5 0.01") as wire:
        reply = wire.head()
        events = b"".join(wire.body(reply)).split(b"\n\n")
        assert [json.loads(each.removeprefix(b"data: "))["number"] for each in events[:-1]] == list(range(5)) and events[-1] == b""
        assert wire.call("GET", "/", app.site.headers).status == 200


def test_an_upload_arrives_piece_by_piece(app):
    with app.site.wire() as wire:
        wire.send(app.site.head_of("POST", "/pieces", "Transfer-Encoding: chunked", "X-Do: pieces"))
        for text in ("one", "two", "three"):
            wire.send(chunk(text))
            app.sees("piece", target="/pieces", text=text)
        wire.send("0\r\n\r\n")
        assert [text for _, text in wire.reply("POST").json()] == ["one", "two", "three"]


def test_a_sized_upload_arrives_piece_by_piece(app):
    with app.site.wire() as wire:
        wire.send(app.site.head_of("POST", "/sized", "Content-Length: 8", "X-Do: pieces"))
        for text in ("once", "more"):
            wire.send(text)
            app.sees("piece", target="/sized", text=text)
        assert [text for _, text in wire.reply("POST").json()] == ["once", "more"]


# -- of any size -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deed", ["send", "send-chunked", "send-close"])
def test_a_large_download_is_whole_and_costs_no_memory(app, server, deed):
    expected = hashlib.shake_128(b"pattern").digest(MEGABYTE)
    with bounded_memory(server), app.site.wire(f"{deed} {LARGE}") as wire:
        reply = wire.head()
        digest, size = hashlib.sha256(), 0
        if deed == "send-close" and reply.header("transfer-encoding") is None:
            while True:
                try:
                    piece = wire.piece()
                except Cut:
                    break
                digest.update(piece)
                size += len(piece)
        else:
            for piece in wire.body(reply):
                digest.update(piece)
                size += len(piece)
    wanted = hashlib.sha256()
    for _ in range(LARGE // MEGABYTE):
        wanted.update(expected)
    assert size == LARGE and digest.digest() == wanted.digest()


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_upload_is_whole_and_costs_no_memory(app, server, chunked):
    piece, digest = os.urandom(MEGABYTE), hashlib.sha256()
    with bounded_memory(server), app.site.wire() as wire:
        framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {LARGE}"
        wire.send(app.site.head_of("PUT", "/large", framing))
        for _ in range(LARGE // MEGABYTE):
            digest.update(piece)
            wire.send(b"%x\r\n" % MEGABYTE, piece, b"\r\n") if chunked else wire.send(piece)
        wire.send("0\r\n\r\n" if chunked else "")
        report = wire.reply("PUT").json()
    assert report["size"] == LARGE and report["sha256"] == digest.hexdigest()


# -- no faster than they are read ------------------------------------------------------------------------------


def test_a_slow_reader_slows_the_application(app, server):
    with bounded_memory(server), app.site.wire("send 1000000000", "/slow", receive_buffer=65536) as wire:
        assert wire.head().status == 200
        app.sees("sent", target="/slow")
        time.sleep(1)  # time enough to send all of it, if nobody held it back
        sent = max(each["bytes"] for each in app.events("sent") if each["target"] == "/slow")
        assert sent < MOST_HELD, sent
        assert app.site.visit().status == 200  # others do not wait for it
    app.sees("gone", do="send", target="/slow")


def test_a_slow_application_slows_the_upload(app, server):
    with bounded_memory(server), app.site.wire() as wire:
        wire.send(app.site.head_of("POST", "/deaf", "Content-Length: 1000000000", "X-Do: deaf"))
        app.sees("deaf", target="/deaf")
        wire.socket.settimeout(1)
        sent, piece = 0, bytes(65536)
        with pytest.raises(TimeoutError):
            while sent < MOST_HELD:
                sent += wire.socket.send(piece)
        assert app.site.visit().status == 200


# -- ended by the end of either side ---------------------------------------------------------------------------


def test_an_application_sees_that_its_reader_has_gone(app):
    with app.site.wire("endless", "/left") as wire:
        next(wire.body(wire.head()))
    app.sees("gone", do="endless", target="/left")


def test_an_application_that_has_not_answered_sees_that_its_client_has_gone(app):
    with app.site.wire("hang", "/impatient"):
        wait_until(lambda: any("/impatient" in each["line"] for each in app.events("request")), "the request arrives")
    app.sees("gone", do="hang", target="/impatient")


def test_an_application_that_dies_within_its_answer_cuts_it(api):
    with app_of_its_own(api) as app, app.site.wire("half-die") as wire:
        reply = wire.head()
        with pytest.raises(Cut):
            b"".join(wire.body(reply))
        gone = app.site.visit()
        assert gone.status == 502 and gone.json()["detail"].startswith("Upstream error: ")


def descriptors(server) -> int:
    return len(os.listdir(f"/proc/{server.pid}/fd"))


def test_many_streams_at_once(api, server):
    """A server of two hundred readers serves each of them, and keeps nothing of them."""
    with app_of_its_own(api, resources={"memory": "1Gi", "pids": 1024}) as app:
        assert app.site.visit().status == 200
        before = descriptors(server)
        with contextlib.ExitStack() as stack:
            wires = [stack.enter_context(app.site.wire("endless", f"/{number}")) for number in range(READERS)]
            bodies = [wire.body(wire.head()) for wire in wires]
            for _ in range(3):
                assert all(next(body).startswith(b"data: ") for body in bodies)
            assert app.site.visit().status == 200
        wait_until(lambda: len(app.events("gone")) == READERS, "all are gone", 20)
        # A few connections are kept for the next requests.
        wait_until(lambda: descriptors(server) <= before + 16, "the server has closed its sides", 20)


def test_a_stream_longer_than_any_patience_goes_on(app: App):
    """As long as events come, nothing ends it; what is left of it ends with its reader."""
    with app.site.wire("endless", "/patient") as wire:
        body = wire.body(wire.head())
        for number in range(200):
            assert json.loads(next(body).removeprefix(b"data: "))["number"] == number
    app.sees("gone", do="endless", target="/patient")
