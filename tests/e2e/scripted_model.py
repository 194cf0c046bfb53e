"""A stand-in for a model's server that does with every request what the test says, byte by byte if need be."""

import json
import socket
import ssl
import threading
from dataclasses import dataclass, field
from typing import Callable, Optional


@dataclass
class Asked:
    """One request, and the connection to answer it on."""

    head: str
    body: bytes
    connection: socket.socket
    number: int  # of the requests so far, from 0

    @property
    def json(self) -> dict:
        return json.loads(self.body)

    @property
    def path(self) -> str:
        return self.head.split(" ")[1]

    def header(self, name: str) -> Optional[str]:
        for line in self.head.split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name.lower():
                return value.strip()
        return None

    def send(self, data) -> None:
        self.connection.sendall(data.encode() if isinstance(data, str) else data)

    def answer(self, status: int, body, kind: str = "application/json", extra: str = "") -> None:
        data = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send(f"HTTP/1.1 {status} Whatever\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n{extra}\r\n")
        self.send(data)

    def begin_events(self) -> None:
        self.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")

    def chunk(self, data) -> None:
        data = data.encode() if isinstance(data, str) else data
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def event(self, value) -> None:
        self.chunk(f"data: {value if isinstance(value, str) else json.dumps(value)}\n\n")

    def end_events(self) -> None:
        self.send("0\r\n\r\n")

    def until_closed(self) -> bool:
        """Waits for the other side to close; False after 20 s."""
        self.connection.settimeout(20)
        try:
            return self.connection.recv(1) == b""
        except ConnectionError:
            return True
        except TimeoutError:
            return False

    def until_closed_saying(self, data) -> bool:
        """The same, and meanwhile a chunk every 40 ms."""
        self.connection.settimeout(0.04)
        for _ in range(500):
            try:
                self.chunk(data)
                return self.connection.recv(1) == b""
            except TimeoutError:
                pass
            except ConnectionError:
                return True
        return False


def delta(text: str, **more) -> dict:
    """A chunk of an answer."""
    return {"id": "chatcmpl-theirs", "object": "chat.completion.chunk", "created": 1, "model": "theirs",
            "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}], **more}


def whole(text: str, **more) -> dict:
    """A whole answer."""
    return {"id": "chatcmpl-theirs", "object": "chat.completion", "created": 1, "model": "theirs",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}], **more}


@dataclass
class ScriptedModel:
    """Listens on loopback, and calls `script(asked)` for each request; a connection is kept unless the script returns False."""

    script: Callable[[Asked], Optional[bool]]
    tls: Optional[ssl.SSLContext] = None
    asked: list = field(default_factory=list)
    connections: int = 0
    _open: list = field(default_factory=list)

    def __enter__(self) -> "ScriptedModel":
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        # Accepting ends only with a shutdown: closing alone does not wake it.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            connection.close()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{'localhost' if self.tls else '127.0.0.1'}:{self.port}"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            with connection:
                while self._serve_one(connection):
                    pass
        except OSError:  # the gateway has let go, or the test is over
            pass

    def _serve_one(self, connection: socket.socket) -> bool:
        data = b""
        while b"\r\n\r\n" not in data:
            piece = connection.recv(65536)
            if not piece:
                return False
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        asked = Asked(head.decode(), b"", connection, len(self.asked))
        length = int(asked.header("Content-Length") or 0)
        while len(body) < length:
            body += connection.recv(65536)
        asked.body = body
        self.asked.append(asked)
        return self.script(asked) is not False
