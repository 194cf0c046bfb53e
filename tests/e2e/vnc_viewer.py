"""A viewer of VNC, run inside a sandbox: prints what the desktop says of itself, and the colour of its upper left corner.

    vnc_viewer.py PORT            over a plain connection
    vnc_viewer.py PORT websocket  as noVNC does
"""

import json
import socket
import struct
import sys


class Plain:
    def __init__(self, port: int):
        self.connection = socket.create_connection(("127.0.0.1", port), 10)

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def take(self, count: int) -> bytes:
        """Exactly this much; the end of the connection is an error."""
        got = b""
        while len(got) < count:
            more = self.connection.recv(count - len(got))
            assert more, "the desktop hung up"
            got += more
        return got


class WebSocket(Plain):
    """Messages up to 125 bytes outwards; inwards their bytes one after the other."""

    def __init__(self, port: int):
        super().__init__(port)
        self.waiting = b""
        self.connection.sendall((
            f"GET /websockify HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: c29tZSBzaXh0ZWVuIGJ5dA==\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: binary\r\n\r\n").encode())
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += super().take(1)
        assert answer.startswith(b"HTTP/1.1 101") and b"sec-websocket-protocol: binary" in answer.lower(), answer

    def send(self, data: bytes) -> None:
        self.connection.sendall(bytes([0x82, 0x80 | len(data)]) + bytes(4) + data)  # masked with zeros

    def take(self, count: int) -> bytes:
        while len(self.waiting) < count:
            kind, size = super().take(2)
            assert kind == 0x82, kind
            if size == 126:
                size = struct.unpack(">H", super().take(2))[0]
            elif size == 127:
                size = struct.unpack(">Q", super().take(8))[0]
            self.waiting += super().take(size)
        got, self.waiting = self.waiting[:count], self.waiting[count:]
        return got


def look(way) -> dict:
    version = way.take(12)
    way.send(version)
    kinds = list(way.take(way.take(1)[0]))
    way.send(b"\1")  # no password
    assert struct.unpack(">I", way.take(4))[0] == 0, "refused"
    way.send(b"\1")  # others may look, too
    width, height = struct.unpack(">HH", way.take(4))
    way.take(16)
    way.take(struct.unpack(">I", way.take(4))[0])
    # Four bytes for a point: blue, green, red, nothing; uncompressed; the corner, and whatever else it sends of its own.
    way.send(struct.pack(">B3xBBBBHHHBBB3x", 0, 32, 24, 0, 1, 255, 255, 255, 16, 8, 0))
    way.send(struct.pack(">BxHi", 2, 1, 0))
    way.send(struct.pack(">BBHHHH", 3, 0, 0, 0, 1, 1))
    corner = None
    while corner is None:
        kind, rectangles = struct.unpack(">BxH", way.take(4))
        assert kind == 0, kind
        for _ in range(rectangles):
            left, top, across, down, encoding = struct.unpack(">HHHHi", way.take(12))
            assert encoding == 0, encoding
            points = way.take(4 * across * down)
            if (left, top) == (0, 0):
                corner = points[2::-1].hex()
    return {"version": version.decode().strip(), "kinds": kinds, "size": [width, height], "corner": corner}


if __name__ == "__main__":
    print(json.dumps(look((WebSocket if sys.argv[2:] == ["websocket"] else Plain)(int(sys.argv[1])))))
