"""Reading an event stream (WHATWG HTML, section 9.2) and the output events Sandy sends in it. Does no input or output."""

from __future__ import annotations

import base64
import json
from typing import Any, Dict, Iterator, List, NamedTuple, Optional

from .errors import SandyError
from .models import OutputChunk


class Event(NamedTuple):
    """One server-sent event with its JSON."""

    name: str
    data: Dict[str, Any]


class EventDecoder:
    """Turns the bytes of a stream, cut anywhere, into events."""

    def __init__(self) -> None:
        self._pending = b""
        self._name = ""
        self._data: List[str] = []

    def feed(self, piece: bytes) -> Iterator[Event]:
        """The events that `piece` completes."""
        lines = (self._pending + piece).split(b"\n")
        self._pending = lines.pop()
        for line in lines:
            event = self._line(line.rstrip(b"\r").decode("utf-8"))
            if event is not None:
                yield event

    def _line(self, line: str) -> Optional[Event]:
        if not line:
            name, data = self._name or "message", self._data
            self._name, self._data = "", []
            return Event(name, json.loads("\n".join(data))) if data else None
        key, _, value = line.partition(":")
        value = value[1:] if value.startswith(" ") else value
        if key == "event":
            self._name = value
        elif key == "data":
            self._data.append(value)
        return None  # comments (keep-alive), ids


class OutputDecoder:
    """Turns the bytes of an exec stream into chunks, and remembers how the command ended."""

    def __init__(self) -> None:
        self._events = EventDecoder()
        self.exit: Optional[Dict[str, Any]] = None

    def feed(self, piece: bytes) -> Iterator[OutputChunk]:
        """The chunks that `piece` completes. Raises SandyError when the server says that the command was lost."""
        for event in self._events.feed(piece):
            if event.name in ("stdout", "stderr"):
                text = event.data.get("text")
                data = text.encode("utf-8") if text is not None else base64.b64decode(event.data["base64"])
                yield OutputChunk(event.name, data, int(event.data.get("offset", 0)))
            elif event.name == "exit":
                self.exit = event.data
            elif event.name == "error":
                raise error_from_event(event.data)

    def exit_code(self) -> int:
        """The exit code; raises SandyError when the stream ended without one, because then nobody knows it."""
        if self.exit is None:
            raise SandyError(0, "stream_broken", "the stream ended before the command did")
        return int(self.exit.get("exit_code", self.exit.get("exitCode", -1)))

    def timed_out(self) -> bool:
        """Whether the command was killed for its timeout."""
        outcome = self.exit or {}
        return bool(outcome.get("timed_out") or outcome.get("timedOut"))


class AgentDecoder:
    """Turns the bytes of an agent's stream into its events, as the server sent them, and remembers how the run ended."""

    def __init__(self) -> None:
        self._events = EventDecoder()
        self.end: Optional[Dict[str, Any]] = None

    def feed(self, piece: bytes) -> Iterator[Dict[str, Any]]:
        """The events that `piece` completes."""
        for event in self._events.feed(piece):
            if event.data.get("type") == "complete":
                self.end = event.data
            yield event.data

    def check_end(self) -> None:
        """Raises SandyError when the stream ended before the run did, because then nobody knows how it went."""
        if self.end is None:
            raise SandyError(0, "stream_broken", "the stream ended before the agent did")


def error_from_event(data: Dict[str, Any]) -> SandyError:
    """The failure an `error` event tells: `{"detail", "error": {"code", "message"}}`, or `{"code", "message"}` flat."""
    error = data.get("error")
    inner = error if isinstance(error, dict) else data
    message = inner.get("message") or data.get("detail") or "the command was lost"
    return SandyError(200, str(inner.get("code") or "stream_broken"), str(message))
