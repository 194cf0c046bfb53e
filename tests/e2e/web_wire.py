"""What web_app.py reads and writes: connections, requests, frames of WebSockets. Standard library only."""

import base64
import hashlib
import struct

WEBSOCKET_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3


class Gone(Exception):
    """The other side closed."""


class Wire:
    """A connection, read through a buffer."""

    def __init__(self, connection, number, log):
        self.socket, self.number, self.log = connection, number, log
        self.held = bytearray()  # bytes would be copied whole with every piece
        self.served = 0

    def more(self):
        try:
            piece = self.socket.recv(1 << 18)
        except OSError as error:
            raise Gone(str(error)) from error
        if not piece:
            raise Gone("end")
        self.held += piece

    def until(self, mark):
        while mark not in self.held:
            self.more()
        found = self.take(self.held.index(mark))
        del self.held[: len(mark)]
        return found

    def take(self, count):
        found = bytes(self.held[:count])
        del self.held[:count]
        return found

    def piece(self, most):
        """What is there already, else what comes next."""
        if not self.held:
            self.more()
        return self.take(most)

    def exactly(self, count):
        while len(self.held) < count:
            self.more()
        return self.take(count)

    def send(self, *parts):
        try:
            self.socket.sendall(b"".join(parts))
        except OSError as error:
            raise Gone(str(error)) from error


class Request:
    def __init__(self, wire):
        head = wire.until(b"\r\n\r\n").split(b"\r\n")
        self.line = head[0].decode("latin-1")
        self.method, self.target = (self.line.split(" ") + ["", ""])[:2]
        self.headers = [[part.strip() for part in line.decode("latin-1").split(":", 1)] for line in head[1:]]
        self.trailers = []
        self.do = (self.header("x-do") or "report").split(" ")
        self.wire = wire

    def header(self, name):
        return next((value for key, value in self.headers if key.lower() == name), None)

    def body(self):
        """The pieces of the body as they come, without their framing."""
        if (self.header("expect") or "").lower() == "100-continue":
            self.wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "chunked" in (self.header("transfer-encoding") or "").lower():
            while size := int(self.wire.until(b"\r\n").split(b";")[0], 16):
                yield self.wire.exactly(size)
                self.wire.exactly(2)
            while line := self.wire.until(b"\r\n"):
                self.trailers.append(line.decode("latin-1"))
        else:
            left = int(self.header("content-length") or 0)
            while left:
                piece = self.wire.piece(left)
                left -= len(piece)
                yield piece

    def skip_body(self):
        for _ in self.body():
            pass


def accept(key):
    """The answer to a client's key."""
    return base64.b64encode(hashlib.sha1(key.encode() + WEBSOCKET_MAGIC).digest())


def frame(code, data):
    size = bytes([len(data)]) if len(data) < 126 else struct.pack(">BH", 126, len(data)) if len(data) < 65536 else struct.pack(">BQ", 127, len(data))
    return bytes([0x80 | code]) + size + data


def received(wire):
    """The code and the payload of the next frame; its first byte as it is, so that fragments go back as fragments."""
    first, size = wire.exactly(2)
    size &= 0x7F
    if size >= 126:
        size = int.from_bytes(wire.exactly(2 if size == 126 else 8), "big")
    mask = wire.exactly(4)
    data = wire.exactly(size)
    key = (mask * (size // 4 + 1))[:size]
    return first, (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")
