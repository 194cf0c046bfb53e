"""A bare HTTP/1.1 client: the less the client does, the more of what is measured is the server."""

import json
import socket


class Connection:
    """One connection, kept alive. `address` is (host, port) or the path of a unix socket."""

    def __init__(self, address, headers=""):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.settimeout(120)
        self._socket.connect(address)
        if family == socket.AF_INET:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._headers = f"Host: bench\r\n{headers}"
        self._held = b""

    def close(self):
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def call(self, method, path, body=None):
        """The JSON of the answer, or its bytes when it is something else. Raises Refused for every status but 2xx."""
        self._ask(method, path, body)
        return self._answer(f"{method} {path}")

    def stream(self, method, path, body):
        """The pieces of a chunked answer, as they come."""
        self._ask(method, path, body)
        head = self._until(b"\r\n\r\n").decode("latin-1")
        if not head.startswith("HTTP/1.1 200") or "chunked" not in head.lower():
            raise Refused(f"{method} {path}: {head[:500]}")
        yield from iter(self._chunk, b"")

    def drain(self, path):
        """GETs a body of known length and forgets it; its length."""
        self._ask("GET", path, None)
        head = self._until(b"\r\n\r\n").decode("latin-1").lower()
        if not head.startswith("http/1.1 200") or "content-length:" not in head:
            raise Refused(f"GET {path}: {head[:500]}")
        length = int(head.partition("content-length:")[2].split()[0])
        left, memory = length - len(self._held), bytearray(1 << 18)
        self._held = b""
        while left > 0:
            count = self._socket.recv_into(memory, min(left, len(memory)))
            if count == 0:
                raise ConnectionError("the connection ended within a body")
            left -= count
        return length

    def _ask(self, method, path, body):
        content = b"" if body is None else json.dumps(body).encode()
        kind = "Content-Type: application/json\r\n" if body is not None else ""
        head = f"{method} {path} HTTP/1.1\r\n{self._headers}{kind}Content-Length: {len(content)}\r\n\r\n"
        self._socket.sendall(head.encode() + content)

    def upload(self, path, pieces):
        """POSTs a body of unknown length."""
        self._socket.sendall(f"POST {path} HTTP/1.1\r\n{self._headers}Transfer-Encoding: chunked\r\n\r\n".encode())
        for piece in pieces:
            self._socket.sendall(b"%x\r\n" % len(piece) + piece + b"\r\n")
        self._socket.sendall(b"0\r\n\r\n")
        return self._answer(f"POST {path}")

    def _answer(self, request):
        head = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        status = int(head[0].split(" ", 2)[1])
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        if status in (204, 304):
            body = b""
        elif "content-length" in fields:
            body = self._exactly(int(fields["content-length"]))
        elif fields.get("transfer-encoding") == "chunked":
            body = b"".join(iter(self._chunk, b""))
        else:
            body = self._rest()
        if not 200 <= status < 300:
            raise Refused(f"{request}: {status} {body[:500].decode(errors='replace')}")
        return json.loads(body) if body and fields.get("content-type", "").startswith("application/json") else body

    def _until(self, mark):
        while mark not in self._held:
            self._receive()
        found, _, self._held = self._held.partition(mark)
        return found

    def _exactly(self, count):
        while len(self._held) < count:
            self._receive()
        found, self._held = self._held[:count], self._held[count:]
        return found

    def _chunk(self):
        size = int(self._until(b"\r\n"), 16)
        piece = self._exactly(size)
        self._exactly(2)
        return piece

    def _rest(self):
        while piece := self._socket.recv(65536):
            self._held += piece
        return self._held

    def _receive(self):
        piece = self._socket.recv(65536)
        if not piece:
            raise ConnectionError("the server closed the connection in the middle of an answer")
        self._held += piece


class Refused(Exception):
    """A request that was answered with something else than success."""
