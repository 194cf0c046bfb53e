"""Asks the guest of a sandbox directly, without any server: what an exec costs at least. See guest/protocol.hpp."""

import socket
import struct

SPAWN, DATA, END = 3, 32, 33
STARTED, CHUNK, EXITED = 67, 68, 70
CREATE_DIRECTORY = 8
ENVIRONMENT = [
    "HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/bash", "LANG=C.UTF-8",
    "PATH=/root/.local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
]


def run_true(path):
    """What POST .../exec {"command": "true"} makes the server ask, on a connection of its own as the server's are."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(30)
        link.connect(path)
        link.sendall(_EXEC_TRUE)
        held = b""
        while True:
            piece = link.recv(65536)
            if not piece:
                raise ConnectionError("the guest closed the connection before the command's end")
            held += piece
            while len(held) >= 5 and len(held) >= 5 + struct.unpack_from("<I", held)[0]:
                size, kind = struct.unpack_from("<IB", held)
                payload, held = held[5:5 + size], held[5 + size:]
                if kind == EXITED:
                    exit_code = struct.unpack_from("<i", payload)[0]
                    assert exit_code == 0, exit_code
                    return
                assert kind in (STARTED, CHUNK), (kind, payload)


def _frame(kind, payload=b""):
    return struct.pack("<IB", len(payload), kind) + payload


def _text(value):
    return struct.pack("<I", len(value)) + value.encode()


def _texts(values):
    return struct.pack("<I", len(values)) + b"".join(map(_text, values))


_TIMEOUT_MS = 600_000
_EXEC_TRUE = (
    _frame(SPAWN, struct.pack("<B", CREATE_DIRECTORY) + _text("/workspace") + _texts(ENVIRONMENT) + _texts([])
           + struct.pack("<QQ", _TIMEOUT_MS, 0))
    + _frame(DATA, b"true") + _frame(END)
)
