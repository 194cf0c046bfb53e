"""A strict HTTP/1.1 client that sends exactly the bytes it is given, and says exactly what came back."""

import json
import socket
from dataclasses import dataclass, field
from typing import Iterator, Optional
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 30


class Cut(Exception):
    """The connection ended in the middle of an answer."""


@dataclass
class Reply:
    status: int
    reason: str
    headers: list  # pairs, as they came
    body: bytes = b""
    interim: list = field(default_factory=list)  # statuses of 1xx answers before it

    def header(self, name: str) -> Optional[str]:
        """The value of a header that comes at most once."""
        values = self.all(name)
        assert len(values) < 2, (name, values)
        return values[0] if values else None

    def all(self, name: str) -> list:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def json(self):
        assert self.header("content-type").split(";")[0] == "application/json", self
        return json.loads(self.body)


class Wire:
    """One connection. @param address host and port, or a URL that begins with them"""

    def __init__(self, address, receive_buffer: Optional[int] = None):
        parts = urlsplit(address)
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(TIMEOUT_SECONDS)
        self.socket.connect((parts.hostname, parts.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.held = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self) -> None:
        self.socket.close()

    def send(self, *parts) -> None:
        self.socket.sendall(b"".join(part.encode() if isinstance(part, str) else part for part in parts))

    def ask(self, method: str, target: str, headers=(), body: Optional[bytes] = None) -> None:
        """Sends a request; a body gets its length."""
        pairs = list(headers.items() if isinstance(headers, dict) else headers)
        if body is not None:
            pairs.append(("Content-Length", str(len(body))))
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in pairs), "", ""]
        self.send("\r\n".join(lines), body or b"")

    def call(self, method: str, target: str, headers=(), body: Optional[bytes] = None) -> Reply:
        self.ask(method, target, headers, body)
        return self.reply(method)

    def reply(self, method: str = "GET") -> Reply:
        """The next answer, whole."""
        begun = self.head()
        begun.body = b"".join(self.body(begun, method))
        return begun

    def head(self) -> Reply:
        """The next answer without its body, after those of 1xx; 101 is one to stop at."""
        interim = []
        while True:
            lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
            version, status, reason = (lines[0] + " ").split(" ", 2)
            assert version == "HTTP/1.1", lines[0]
            pairs = [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:]]
            if int(status) // 100 != 1 or status == "101":
                return Reply(int(status), reason.strip(), pairs, interim=interim)
            interim.append(int(status))

    def body(self, begun: Reply, method: str = "GET") -> Iterator[bytes]:
        """The pieces of a body as they come. Raises Cut."""
        length, coding = begun.header("content-length"), begun.header("transfer-encoding")
        assert length is None or coding is None, begun
        if method == "HEAD" or begun.status in (204, 304):
            return
        if coding:
            assert coding == "chunked", coding
            while size := int(self.until(b"\r\n"), 16):
                yield self.exactly(size)
                assert self.exactly(2) == b"\r\n"
            while self.until(b"\r\n"):
                raise AssertionError("a trailer")
        elif length is not None:
            left = int(length)
            while left:
                piece = self.piece(left)
                left -= len(piece)
                yield piece
        else:
            yield self.rest()

    def piece(self, most: int = 1 << 16) -> bytes:
        """What is there already, else what comes next. Raises Cut."""
        if not self.held:
            self._more()
        return self._take(most)

    def exactly(self, count: int) -> bytes:
        while len(self.held) < count:
            self._more()
        return self._take(count)

    def until(self, mark: bytes) -> bytes:
        while mark not in self.held:
            self._more()
        found = self._take(self.held.index(mark))
        del self.held[: len(mark)]
        return found

    def rest(self) -> bytes:
        """Everything until the other side closes."""
        try:
            while True:
                self._more()
        except Cut:
            return self._take(len(self.held))

    def is_closed(self) -> bool:
        """Waits until the other side closes without a further byte; false when one comes."""
        return self.rest() == b""

    def _take(self, count: int) -> bytes:
        found = bytes(self.held[:count])
        del self.held[:count]
        return found

    def _more(self) -> None:
        try:
            piece = self.socket.recv(1 << 18)
        except ConnectionResetError as reset:
            raise Cut(f"reset; before: {bytes(self.held[-500:])!r}") from reset
        if not piece:
            raise Cut(f"closed; before: {bytes(self.held[-500:])!r}")
        self.held += piece
