#!/usr/bin/env python3
"""An application to be reached from outside: tests copy it and web_wire.py into sandboxes. It reads and writes every byte itself, so that
tests see exactly what arrived and answer exactly what they mean. Standard library only.

The request says in X-Do what happens; without one it is described (`report`):

  report                  what arrived, as JSON
  raw BASE64              these bytes are the answer; the connection stays
  raw-close BASE64        the same, and the connection is closed
  early BASE64            the same, without reading the body first
  sse COUNT SECONDS       an event stream, one event in so many seconds
  endless                 the same without an end; the log says when the reader has gone
  send BYTES              so many bytes of the pattern, with their length
  send-chunked BYTES      the same in chunks; send-close BYTES: ended by the end of the connection
  pieces                  reads the body in pieces and answers when each of them came
  trailers                a chunked answer with trailers behind it
  hang                    no answer at all; the log says when the client has gone
  deaf                    the body is not read
  half                    ten bytes of a thousand, then the end; half-reset: then a reset; half-die: the application dies
  upgrade PROTOCOL        101, then every byte back; at the end of what comes it says "bye" and ends
  refuse-upgrade          426
  websocket [CODE]        a WebSocket that sends everything back, or closes with CODE at once

It prints its port. With --log it appends a JSON object per event: request, gone, websocket.
"""

import argparse
import base64
import hashlib
import json
import os
import socket
import struct
import sys
import threading
import time

from web_wire import Gone, Request, Wire, accept, frame, received

PATTERN = hashlib.shake_128(b"pattern").digest(1 << 20)
SHOWN_BYTES = 1 << 16


def described(request):
    digest, size, shown = hashlib.sha256(), 0, b""
    for piece in request.body():
        digest.update(piece)
        size += len(piece)
        shown = (shown + piece)[:SHOWN_BYTES] if len(shown) < SHOWN_BYTES else shown
    return {
        "line": request.line, "method": request.method, "target": request.target, "headers": request.headers,
        "size": size, "sha256": digest.hexdigest(), "body": base64.b64encode(shown).decode(), "trailers": request.trailers,
        "connection": request.wire.number, "served": request.wire.served, "port": request.wire.socket.getsockname()[1],
    }


def answer(wire, request, body, kind=b"application/json", status=b"200 OK"):
    head = b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n" % (status, kind, len(body))
    wire.send(head, b"" if request.method == "HEAD" else body)


def report(wire, request):
    answer(wire, request, json.dumps(described(request)).encode())


def raw(wire, request):
    request.skip_body()
    wire.send(base64.b64decode(request.do[1]))


def raw_close(wire, request):
    raw(wire, request)
    raise Gone("closed by us")


def early(wire, request):
    wire.send(base64.b64decode(request.do[1]))
    request.skip_body()


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n"


def event(number):
    return chunk(b"data: %s\n\n" % json.dumps({"number": number, "at": time.monotonic()}).encode())


def sse(wire, request):
    request.skip_body()
    wire.send(EVENTS)
    for number in range(int(request.do[1])):
        wire.send(event(number))
        time.sleep(float(request.do[2]))
    wire.send(b"0\r\n\r\n")


def endless(wire, request):
    request.skip_body()
    wire.send(EVENTS)
    number = 0
    try:
        while True:
            wire.send(event(number))
            number += 1
            time.sleep(0.05)
    except Gone as gone:
        wire.log(event="gone", do="endless", target=request.target, why=str(gone))
        raise


def pattern(count):
    while count > 0:
        yield PATTERN[:count]
        count -= len(PATTERN)


def send(wire, request):
    request.skip_body()
    count = int(request.do[1])
    kind = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
    framing = {"send": b"Content-Length: %d\r\n\r\n" % count, "send-chunked": b"Transfer-Encoding: chunked\r\n\r\n",
               "send-close": b"Connection: close\r\n\r\n"}[request.do[0]]
    wire.send(kind, framing)
    try:
        sent = 0
        for piece in pattern(count):
            wire.send(chunk(piece) if request.do[0] == "send-chunked" else piece)
            sent += len(piece)
            if sent == len(PATTERN) or sent % (16 * len(PATTERN)) == 0:
                wire.log(event="sent", target=request.target, bytes=sent)
    except Gone as gone:
        wire.log(event="gone", do=request.do[0], target=request.target, why=str(gone))
        raise
    if request.do[0] == "send-chunked":
        wire.send(b"0\r\n\r\n")
    elif request.do[0] == "send-close":
        raise Gone("closed by us")


def pieces(wire, request):
    begun, seen = time.monotonic(), []
    try:
        for piece in request.body():
            seen.append([time.monotonic() - begun, piece.decode("latin-1")])
            wire.log(event="piece", target=request.target, text=piece.decode("latin-1")[:100])
    except Gone as gone:
        wire.log(event="gone", do="pieces", target=request.target, why=str(gone))
        raise
    answer(wire, request, json.dumps(seen).encode())


def trailers(wire, request):
    request.skip_body()
    wire.send(b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n", chunk(b"hello"), b"0\r\nX-Sum: 5\r\n\r\n")


def hang(wire, request):
    request.skip_body()
    try:
        wire.more()
    except Gone as gone:
        wire.log(event="gone", do="hang", target=request.target, why=str(gone))
        raise


def deaf(wire, request):
    wire.log(event="deaf", target=request.target)
    time.sleep(600)


def half(wire, request):
    request.skip_body()
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n0123456789")
    time.sleep(0.2)
    if request.do[0] == "half-die":
        os._exit(1)
    if request.do[0] == "half-reset":
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise Gone("closed by us")


def upgrade(wire, request):
    wire.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\nX-From: application\r\n\r\n" % request.do[1].encode())
    try:
        while True:
            wire.send(wire.piece(1 << 16))
    except Gone as gone:
        wire.log(event="gone", do="upgrade", target=request.target, why=str(gone))
        if str(gone) == "end":
            wire.send(b"bye")
        raise


def refuse_upgrade(wire, request):
    answer(wire, request, b"no", b"text/plain", b"426 Upgrade Required")


def websocket(wire, request):
    wanted = request.header("sec-websocket-protocol")
    chosen = b"Sec-WebSocket-Protocol: %s\r\n" % wanted.split(",")[0].strip().encode() if wanted else b""
    wire.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n", chosen,
              b"Sec-WebSocket-Accept: %s\r\n\r\n" % accept(request.header("sec-websocket-key") or ""))
    wire.log(event="websocket", target=request.target, port=wire.socket.getsockname()[1])
    if len(request.do) > 1:
        wire.send(frame(8, struct.pack(">H", int(request.do[1])) + b"as asked"))
    try:
        while True:
            first, data = received(wire)
            code = first & 0xF
            if code == 9:
                wire.send(frame(10, data))
            else:
                wire.send(bytes([first]), frame(code, data)[1:])
            if code == 8:
                wire.log(event="closed", target=request.target, code=int.from_bytes(data[:2], "big"))
                raise Gone("closed by us")
    except Gone as gone:
        wire.log(event="gone", do="websocket", target=request.target, why=str(gone))
        raise


DEEDS = {"report": report, "raw": raw, "raw-close": raw_close, "early": early, "sse": sse, "endless": endless, "send": send,
         "send-chunked": send, "send-close": send, "pieces": pieces, "trailers": trailers, "hang": hang, "deaf": deaf, "half": half,
         "half-reset": half, "half-die": half, "upgrade": upgrade, "refuse-upgrade": refuse_upgrade, "websocket": websocket}


def serve(wire):
    try:
        while True:
            request = Request(wire)
            wire.served += 1
            wire.log(event="request", line=request.line, headers=request.headers, connection=wire.number)
            name = "websocket" if request.header("upgrade") == "websocket" and not request.header("x-do") else request.do[0]
            DEEDS[name](wire, request)
    except Gone:
        pass
    finally:
        wire.socket.close()


def logger(path):
    if not path:
        return lambda **_: None
    file, lock = open(path, "a", buffering=1), threading.Lock()

    def log(**fields):
        with lock:
            file.write(json.dumps({"time": time.time(), **fields}) + "\n")

    return log


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="0.0.0.0")
    parser.add_argument("--port", type=int, default=5173)
    parser.add_argument("--log")
    options = parser.parse_args()
    log = logger(options.log)
    with socket.create_server((options.host, options.port), backlog=1024) as listener:
        print(listener.getsockname()[1], flush=True)
        number = 0
        while True:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            number += 1
            threading.Thread(target=serve, args=(Wire(connection, number, log),), daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
