"""Requests broken at random: what comes through to the application can be read in one way only, and the server serves on."""

import random
import re

import pytest
from ingress import app_of_its_own, host
from raw_http import Wire

REQUESTS = 1500
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
LINE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [\x21-\x7e\x80-\xff]+ HTTP/1\.1")
VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
# What parsers disagree about.
NASTY = [b"\r", b"\n", b"\r\n", b"\0", b" ", b"\t", b"\x0b", b":", b",", b";", b"\x7f", b"\xff", b"\r\n ", b"0", b"chunked", b"Content-Length: 5\r\n",
         b"Transfer-Encoding: chunked\r\n", b"Host: elsewhere\r\n", b"Connection: close, Content-Length\r\n", b"Upgrade: x\r\n", b"0\r\n\r\n", b"HTTP/1.1",
         b"Expect: 100-continue\r\n", b"X-Forwarded-Host: elsewhere\r\n", b"-", b"+", b"0x", b"%", b"\\", b"\x00\x01"]  # fmt: skip


@pytest.fixture(scope="module")
def app(api):
    with app_of_its_own(api) as app:
        yield app


def request(dice: random.Random, name: str) -> bytes:
    """A request with a body that is a request, too."""
    inner = f"GET /inner HTTP/1.1\r\nHost: {name}\r\n\r\n".encode()
    head = f"{dice.choice(['GET', 'POST', 'PUT', 'HEAD'])} /outer HTTP/1.1\r\nHost: {name}\r\nX-A: b\r\n".encode()
    if dice.random() < 0.5:
        return head + b"Content-Length: %d\r\n\r\n" % len(inner) + inner
    return head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(inner), inner)


def broken(dice: random.Random, data: bytes) -> bytes:
    for _ in range(dice.choice([1, 1, 1, 2, 3])):
        place = dice.randrange(len(data))
        kind = dice.randrange(5)
        if kind == 0:
            data = data[:place] + dice.choice(NASTY) + data[place:]
        elif kind == 1:
            data = data[:place] + dice.choice(NASTY) + data[place + 1:]
        elif kind == 2:
            data = data[:place] + data[place + dice.randrange(1, 8):]
        elif kind == 3:  # a whole line twice, or elsewhere
            lines = data.split(b"\r\n")
            lines.insert(dice.randrange(len(lines)), dice.choice(lines))
            data = b"\r\n".join(lines)
        else:
            data = data[:place] + bytes([data[place] ^ 1 << dice.randrange(8)]) + data[place + 1:]
        data = data or b"\r\n"
    return data


def values(headers, name: str) -> list:
    return [value for key, value in headers if key.lower() == name]


@pytest.mark.parametrize("seed", range(4))
def test_what_comes_through_can_be_read_in_one_way_only(app, server, seed):
    dice, name = random.Random(seed), host(app.box)
    for _ in range(REQUESTS // 4):
        data = broken(dice, request(dice, name))
        with Wire(server.base_url) as wire:
            try:
                wire.send(data)
                wire.socket.shutdown(1)
                answered = wire.rest()
            except ConnectionError:
                continue  # refused before we were done
        # Every answer begins as one; 5xx would be a confusion of ours (502: the application did not understand us).
        assert answered == b"" or re.match(rb"HTTP/1\.1 (100|200|4\d\d|501|505) ", answered), (data, answered[:300])
    seen = app.events("request")
    assert len(seen) > 20
    for each in seen:
        headers = each["headers"]
        assert LINE.fullmatch(each["line"]), each
        assert all(len(pair) == 2 and TOKEN.fullmatch(pair[0]) and VALUE.fullmatch(pair[1]) for pair in headers), each
        lengths, codings = values(headers, "content-length"), values(headers, "transfer-encoding")
        assert len(lengths) + len(codings) <= 1 and codings in ([], ["chunked"]), each
        assert all(re.fullmatch(r"\d{1,19}", length) for length in lengths), each
        assert values(headers, "host") == [name], each
    assert app.site.visit().status == 200
