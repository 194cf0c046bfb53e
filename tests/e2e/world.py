"""A world of the test's own: a network namespace in which some public addresses are, with servers at them. Nothing
that happens there leaves the machine."""

import contextlib
import socket
import ssl
import struct
import subprocess
import threading
from pathlib import Path

from namespaces import ip, new_network

FREEBIND = 78  # IPV6_FREEBIND of linux/in6.h

# Public addresses that are local there without being those of an interface, as if they were far away.
PUBLIC = "93.184.216.34"
OTHER = "93.184.216.35"
FORBIDDEN = "151.101.1.1"
PUBLIC6 = "2606:2800:220:1::1"
METADATA = "169.254.169.254"
PRIVATE = "10.1.2.3"
CARRIER = "100.100.100.200"
# An address of an interface of the machine: public, but its own.
MACHINE = "8.8.4.4"


@contextlib.contextmanager
def network_namespace():
    """A network namespace of its own for this thread, and for what it starts, with the addresses above."""
    with new_network():
        ip("address", "add", f"{MACHINE}/32", "dev", "lo")
        for address in (PUBLIC, OTHER, FORBIDDEN, METADATA, PRIVATE, CARRIER, "192.168.7.7", "198.18.0.1"):
            ip("route", "add", "local", f"{address}/32", "dev", "lo", "src", "127.0.0.1")
        for address in (PUBLIC6, "2002:a01:203::1", "64:ff9b::a01:203", "fd00:ec2::254"):
            ip("-6", "route", "add", "local", f"{address}/128", "dev", "lo", "src", "::1")
        yield


def settings(world) -> tuple:
    """Arguments of a server that lives in that world: by itself it reaches nothing."""
    return ("--network-deny", "", "--network-dns", f"127.0.0.1:{world.names.port}")


class NameServer:
    """Answers for the names that it is told, by datagram and by stream, and notes what it is asked."""

    A, AAAA = 1, 28

    def __init__(self):
        self.names = {}
        self.asked = []
        self.flood = set()  # names whose answers do not fit into a datagram
        self.silent = ".silent.example"  # names that end so are never answered
        self.datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.datagrams.bind(("127.0.0.1", 0))
        self.port = self.datagrams.getsockname()[1]
        self.streams = socket.create_server(("127.0.0.1", self.port))
        for loop in (self._serve_datagrams, self._serve_streams):
            threading.Thread(target=loop, daemon=True).start()

    def close(self):
        for each in (self.datagrams, self.streams):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def asked_for(self, name: str) -> bool:
        return any(name == each for each, _ in self.asked)

    def _serve_datagrams(self):
        with contextlib.suppress(OSError, IndexError):  # closed
            while True:
                question, peer = self.datagrams.recvfrom(4096)
                if message := self._answer(question, stream=False):
                    self.datagrams.sendto(message, peer)

    def _serve_streams(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.streams.accept()
                with client:
                    size = struct.unpack("!H", client.recv(2))[0]
                    message = self._answer(client.recv(size), stream=True)
                    client.sendall(struct.pack("!H", len(message)) + message)

    def _answer(self, question: bytes, stream: bool) -> bytes:
        at, labels = 12, []
        while size := question[at]:
            labels.append(question[at + 1 : at + 1 + size].decode())
            at += size + 1
        text = question[12 : at + 5]
        kind = struct.unpack("!H", question[at + 1 : at + 3])[0]
        name = ".".join(labels).lower()
        self.asked.append((name, kind))
        if name.endswith(self.silent):
            return b""
        if name in self.flood and not stream:
            return question[:2] + struct.pack("!HHHHH", 0x8380, 1, 0, 0, 0) + text
        known = self.names.get(name)
        records = b""
        count = 0
        for value in [known] if isinstance(known, str) else known or []:
            if value[0].isalpha():  # another name
                target = b"".join(struct.pack("B", len(label)) + label.encode() for label in value.split(".")) + b"\0"
                records += b"\xc0\x0c" + struct.pack("!HHIH", 5, 1, 60, len(target)) + target
                count += 1
                owner = target
                for address in self.names.get(value, []):
                    records, count = self._add(records, count, owner, address, kind)
            else:
                records, count = self._add(records, count, b"\xc0\x0c", value, kind)
        code = 0 if known is not None else 3
        return question[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, count, 0, 0) + text + records

    def _add(self, records, count, owner, address, kind):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        if kind != (self.AAAA if family == socket.AF_INET6 else self.A):
            return records, count
        data = socket.inet_pton(family, address)
        return records + owner + struct.pack("!HHIH", kind, 1, 60, len(data)) + data, count + 1


class World:
    """Servers at every address there, and what came to them: (address, port, first line or first bytes)."""

    def __init__(self, scratch: Path):
        self.came = []
        self.names = NameServer()
        self.names.names.update({
            "good.example": [PUBLIC, PUBLIC6],
            "www.good.example": [PUBLIC],
            "cdn.example": [PUBLIC],  # another name of the same server
            "bad.example": [FORBIDDEN],
            "other.example": [OTHER],
            "rebind.example": [PRIVATE],
            "metadata.example": [METADATA],
            "loop.example": ["127.0.0.1"],
            "other-loop.example": ["127.1.2.3"],
            "mixed.example": [PRIVATE, PUBLIC],
            "alias.good.example": ["good.example"],
            "big.example": [PUBLIC],
            **{f"n{number}.many.example": [OTHER] for number in range(20)},
        })
        self.names.flood.add("big.example")
        self.listeners = []
        self.listen(80, self._http)
        self.listen(8080, self._http)
        self.listen(22, self._banner)
        self.listen(25, self._banner)
        self.listen(9000, self._echo)
        key = scratch / "server.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/CN=good.example", "-keyout", key, "-out", scratch / "cert.pem"],
            check=True, capture_output=True,
        )
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(scratch / "cert.pem", key)
        self.listen(443, self._https)
        self.datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.datagrams.bind(("0.0.0.0", 9000))
        self.datagrams.settimeout(0.2)

    def close(self):
        self.names.close()
        for each in [*self.listeners, self.datagrams]:
            each.close()

    def listen(self, port, serve):
        listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
        self.listeners.append(listener)

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    client.settimeout(20)
                    threading.Thread(target=attend, args=(client,), daemon=True).start()

        def attend(client):
            address = client.getsockname()[0].removeprefix("::ffff:")
            self.came.append((address, port))
            with contextlib.suppress(OSError, ssl.SSLError), client:
                serve(client)

        threading.Thread(target=accept, daemon=True).start()

    def reached(self, address, port=None) -> bool:
        return any(each == address and port in (None, at) for each, at in self.came)

    def datagram_came(self) -> bool:
        try:
            return bool(self.datagrams.recv(100))
        except TimeoutError:
            return False

    def _http(self, client):
        file = client.makefile("rb")
        while line := file.readline():
            headers = {}
            while (header := file.readline().strip()):
                name, _, value = header.decode().partition(":")
                headers[name.lower()] = value.strip()
            file.read(int(headers.get("content-length", 0)))
            target = line.split()[1].decode()
            if target == "/to-metadata":
                client.sendall(f"HTTP/1.1 302 Found\r\nLocation: http://{METADATA}/latest\r\nContent-Length: 0\r\n\r\n".encode())
                continue
            if target.startswith("/bytes/"):
                size = int(target.split("/")[2])
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
                continue
            body = f"hello {headers.get('host')} {target}".encode()
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            if headers.get("connection") == "close":
                return

    def _https(self, client):
        # Else its answer waits for the client's delayed acknowledgement of what ended the handshake, for 40 ms.
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.tls.wrap_socket(client, server_side=True) as secure:
            self._http(secure)

    def _banner(self, client):
        client.sendall(b"220 welcome\r\n")
        self._echo(client)

    def _echo(self, client):
        while piece := client.recv(65536):
            client.sendall(piece)
