"""A viewer of a sandbox's terminal, over a real WebSocket."""

import contextlib
import json
import re
from urllib.parse import urlencode

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

# Of one thing that a program should print.
PATIENCE_SECONDS = 20


class Terminal:
    """Everything a viewer sees: `printed` are the bytes, `messages` what the server says beside them."""

    def __init__(self, server, box: str, key=None, headers=None, subprotocols=None, **query):
        query = {name: value for name, value in query.items() if value is not None}
        url = f"{server.base_url.replace('http', 'ws', 1)}/api/sandboxes/{box}/terminal?{urlencode(query)}"
        headers = {"Authorization": f"Bearer {key or server.api_key}"} if headers is None else headers
        self._connection = contextlib.ExitStack()
        self.socket = self._connection.enter_context(
            connect(url, additional_headers=headers, subprotocols=subprotocols, compression=None, max_size=None, open_timeout=30)
        )
        self.printed = b""
        self.messages = []
        self.closed = None
        self._read_until(lambda: self.messages)
        self.ready = self.messages[0]
        assert self.ready["type"] == "ready"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self) -> None:
        self._connection.close()

    @property
    def id(self) -> int:
        return self.ready["id"]

    @property
    def offset(self) -> int:
        """Where to go on after a broken connection."""
        missed = sum(each["bytes"] for each in self.messages if each["type"] == "missed")
        return self.ready["offset"] + len(self.printed) + missed

    def type(self, text) -> None:
        self.socket.send(text.encode() if isinstance(text, str) else text)

    def tell(self, **message) -> None:
        self.socket.send(json.dumps(message))

    def resize(self, cols: int, rows: int) -> None:
        self.tell(type="resize", cols=cols, rows=rows)

    def see(self, pattern: str, seconds: float = PATIENCE_SECONDS) -> "re.Match":
        """Reads until this regular expression is in what was printed since the last time."""
        compiled = re.compile(pattern.encode(), re.S)
        seen = getattr(self, "_seen", 0)
        self._read_until(lambda: compiled.search(self.printed, seen), seconds)
        found = compiled.search(self.printed, seen)
        assert found, f"{pattern!r} was not printed; instead: {self.printed[seen:][-2000:]!r}, {self.messages}"
        self._seen = found.end()
        return found

    def end(self, seconds: float = PATIENCE_SECONDS) -> dict:
        """Reads to the end of the connection; the last message."""
        self._read_until(lambda: False, seconds)
        assert self.closed is not None, f"it goes on: {self.printed[-500:]!r}"
        return self.messages[-1]

    def _read_until(self, enough, seconds: float = PATIENCE_SECONDS) -> None:
        while not enough() and self.closed is None:
            try:
                got = self.socket.recv(timeout=seconds)
            except ConnectionClosed as closed:
                self.closed = closed.rcvd.code if closed.rcvd else 1006
            except TimeoutError:
                return
            else:
                if isinstance(got, bytes):
                    self.printed += got
                else:
                    self.messages.append(json.loads(got))
