"""Reads event streams byte by byte, strictly: what browsers forgive, clients that parse by hand do not."""

import base64
import contextlib
import json
from dataclasses import dataclass
from typing import Iterator, Optional

import httpx


@dataclass
class Event:
    name: str
    data: dict
    id: Optional[str] = None

    @property
    def bytes(self) -> bytes:
        """The output an event carries: text, or base64 where the bytes are no UTF-8; never both."""
        assert ("text" in self.data) != ("base64" in self.data), self.data
        return self.data["text"].encode() if "text" in self.data else base64.b64decode(self.data["base64"], validate=True)


def events_in(pieces) -> Iterator[Event]:
    """The events in a stream of bytes; a stream that ends within one is an error."""
    pending = b""
    for piece in pieces:
        pending += piece
        assert b"\r" not in piece
        while b"\n\n" in pending:
            block, pending = pending.split(b"\n\n", 1)
            event = _event(block.decode())
            if event:
                yield event
    assert pending == b"", f"the stream was cut: {pending[-200:]!r}"


def _event(block: str) -> Optional[Event]:
    fields = {}
    for line in block.split("\n"):
        if line.startswith(":"):
            continue
        name, separator, value = line.partition(": ")
        assert separator, f"no space after the colon: {line!r}"
        assert name in ("event", "id", "data") and name not in fields, line
        fields[name] = value
    if not fields:
        return None  # comments only: a sign of life
    return Event(fields.get("event", "message"), json.loads(fields["data"]), fields.get("id"))


@contextlib.contextmanager
def stream(http: httpx.Client, method: str, path: str, **settings):
    """Opens a stream that must be one, and yields its events as they come."""
    with http.stream(method, path, **settings) as response:
        if response.status_code != 200:
            response.read()
        assert response.status_code == 200, response.text[:500]
        assert response.headers["Content-Type"].split(";")[0] == "text/event-stream"
        assert "no-cache" in response.headers["Cache-Control"] or "no-store" in response.headers["Cache-Control"]
        assert "Content-Encoding" not in response.headers
        yield events_in(response.iter_raw())


def collect(http: httpx.Client, method: str, path: str, **settings) -> list:
    """All events of a stream that ends."""
    with stream(http, method, path, **settings) as events:
        return list(events)


def output_of(events, name: Optional[str] = None) -> bytes:
    """The output in some events, of one stream or of both."""
    return b"".join(each.bytes for each in events if each.name in ((name,) if name else ("stdout", "stderr")))


def check_order(events, start: int = 0) -> dict:
    """Offsets without a hole, the id after each piece, exactly one exit and that at the end. Returns the exit."""
    offset = start
    for each in events[:-1]:
        if each.name == "gap":
            assert each.data["from"] == offset and each.data["to"] > offset
            offset = each.data["to"]
            continue
        assert each.name in ("stdout", "stderr"), each
        assert each.data["offset"] == offset
        offset += len(each.bytes)
        assert each.id == str(offset)
    assert events[-1].name == "exit", events[-1]
    return events[-1].data
