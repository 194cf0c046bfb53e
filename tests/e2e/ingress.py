"""Sandboxes with an application that is reached from outside, and ways to reach it."""

import base64
import contextlib
import json
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from raw_http import Reply, Wire
from waiting import wait_until
from websockets.sync.client import connect

SUFFIX = ".sandy.localhost"
RUNTIME_PORT = 5173


def host(box: str, suffix: str = SUFFIX) -> str:
    return f"{box}{suffix}"


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


@dataclass
class Site:
    """One way to an application: the address to connect to, and what every request through it carries."""

    base_url: str
    headers: dict  # with Host
    prefix: str = ""  # before every target

    def visit(self, target: str = "/", method: str = "GET", body: Optional[bytes] = None, headers=()) -> Reply:
        """One request on a connection of its own. @param headers replace those of the site that have the same name"""
        with Wire(self.base_url) as wire:
            return wire.call(method, self.prefix + target, self.with_own(headers), body)

    def do(self, deed: str, target: str = "/", method: str = "GET", body: Optional[bytes] = None, headers=()) -> Reply:
        """A request that says what the application does; see web_app.py."""
        return self.visit(target, method, body, {**dict(headers), "X-Do": deed})

    def raw(self, answer: bytes, deed: str = "raw", **settings) -> Reply:
        """The application answers with exactly these bytes."""
        return self.do(f"{deed} {base64.b64encode(answer).decode()}", **settings)

    def report(self, target: str = "/", method: str = "GET", body: Optional[bytes] = None, headers=()) -> dict:
        """What the application saw."""
        reply = self.visit(target, method, body, headers)
        assert reply.status == 200, reply
        return reply.json()

    @contextlib.contextmanager
    def wire(self, deed: Optional[str] = None, target: str = "/", method: str = "GET", body: Optional[bytes] = None, headers=(), **settings):
        """A connection; with a deed, the request has been sent."""
        with Wire(self.base_url, **settings) as wire:
            if deed is not None:
                wire.ask(method, self.prefix + target, self.with_own({**dict(headers), "X-Do": deed}), body)
            yield wire

    def with_own(self, headers) -> list:
        if not isinstance(headers, dict):  # pairs may repeat a name
            return [*self.headers.items(), *headers]
        names = {name.lower() for name in headers}
        return [*((name, value) for name, value in self.headers.items() if name.lower() not in names), *headers.items()]

    def head_of(self, method: str = "GET", target: str = "/", *lines: str) -> str:
        """The text of a request's head, with further lines as they are."""
        own = [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([f"{method} {self.prefix}{target} HTTP/1.1", *own, *lines, "", ""])


@dataclass
class App:
    """web_app.py, running in a sandbox."""

    api: object
    box: str
    port: int
    log: str
    site: Site = field(init=False)

    def __post_init__(self):
        self.site = self.at()

    def at(self, base_url: Optional[str] = None, **headers) -> Site:
        """The application by its host name; other headers of a request are given by their names in lower case with underscores."""
        named = {name.replace("_", "-").title(): value for name, value in headers.items()}
        return Site(base_url or str(self.api.http.base_url).rstrip("/"), {"Host": host(self.box), **named})

    def events(self, kind: Optional[str] = None) -> list:
        lines = self.api.output(self.box, f"cat {self.log}").splitlines()
        found = [json.loads(line) for line in lines]
        return [each for each in found if kind in (None, each["event"])]

    def sees(self, kind: str, **fields) -> dict:
        """Waits for an event with these fields. Longer than a client that closed its side has for its answer: 10 s."""
        def search():
            return next((each for each in self.events(kind) if fields.items() <= each.items()), None)

        return wait_until(search, f"the application sees {kind} {fields}", 20)


def start_app(api, box: str, port: int = RUNTIME_PORT, address: str = "0.0.0.0") -> App:
    """Starts the application in a sandbox; it listens when this returns."""
    for name in ("web_app.py", "web_wire.py"):
        api.write(box, f"/opt/{name}", (Path(__file__).parent / name).read_text())
    log, said = f"/tmp/app-{port}.log", f"/tmp/app-{port}.port"
    api.start(box, f"rm -f {said}; exec python3 /opt/web_app.py --host {address} --port {port} --log {log} >{said}")
    wait_until(lambda: api.output(box, f"cat {said} || true").strip(), "the application listens")
    return App(api, box, port, log)


@contextlib.contextmanager
def app_of_its_own(api, port: int = RUNTIME_PORT, **body):
    """An application in a sandbox that ends with the block."""
    with api.box(**body) as box:
        yield start_app(api, box, port)


def websocket(site, target: str = "/", **settings):
    """A WebSocket of a real client library, with the site's headers."""
    wire = Wire(site.base_url)
    headers = {name: value for name, value in site.headers.items() if name != "Host"} | settings.pop("headers", {})
    return connect(f"ws://{site.headers['Host']}{site.prefix}{target}", sock=wire.socket, additional_headers=headers, proxy=None,
                   compression=None, max_size=None, ping_interval=None, open_timeout=30, close_timeout=10, **settings)
