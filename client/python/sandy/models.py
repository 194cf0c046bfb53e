"""What calls return."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, NamedTuple


@dataclass
class Sandbox:
    """A sandbox as the server described it last.

    Attributes:
        id: names it in every other call.
        public_url: where its web port is served, without a trailing slash.
        status: `running` once it can be used, `paused` while it stands still.
        ttl_remaining: seconds until it ends by itself.
        details: everything else the server said.
    """

    id: str
    public_url: str
    status: str
    ttl_remaining: int
    details: Dict[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True)
class Connection:
    """One sandbox reaches the TCP ports of another.

    Attributes:
        source: id of the sandbox that reaches the other.
        target: id of the other.
        name: the target's host name inside the source.
        address: what the name stands for there.
    """

    source: str
    target: str
    name: str
    address: str


class ExecResult(NamedTuple):
    """How a command ended. `exit_code` is 128 + the signal's number for a signal and 124 for a timeout."""

    stdout: str
    stderr: str
    exit_code: int


@dataclass(frozen=True)
class OutputChunk:
    """A piece of output, in the order the command wrote it.

    Attributes:
        stream: `stdout` or `stderr`.
        data: the bytes, exactly.
        offset: of the first byte, counted over both streams.
    """

    stream: str
    data: bytes
    offset: int

    @property
    def text(self) -> str:
        """The bytes as UTF-8; what is not becomes U+FFFD."""
        return self.data.decode("utf-8", errors="replace")
