"""Serves event streams until it is ended: sse_producer.py PORT STREAMS EVENTS_PER_SECOND CORE. Each event carries the moment it
was sent. Whatever is asked, of as many connections as there are to be streams; then it begins."""

import os
import socket
import sys
import time

# The streams take turns, so that not all send in the same moment.
PHASES = 20
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
STAMP_DIGITS = 20
REST = b"x" * 60


def produce(port, streams, events_per_second):
    with socket.create_server(("127.0.0.1", port), backlog=1024) as listener:
        print(listener.getsockname()[1], flush=True)
        connections = [_begun(listener) for _ in range(streams)]
        turn, due = 0, time.monotonic()
        while True:
            due += 1 / events_per_second / PHASES
            time.sleep(max(0.0, due - time.monotonic()))
            for connection in connections[turn::PHASES]:
                text = b"data: %020d %s\n\n" % (time.monotonic_ns(), REST)
                connection.sendall(b"%x\r\n%s\r\n" % (len(text), text))
            turn = (turn + 1) % PHASES


def _begun(listener):
    connection, _ = listener.accept()
    connection.recv(65536)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(HEAD)
    return connection


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(sys.argv[4])})
    produce(*map(int, sys.argv[1:4]))
