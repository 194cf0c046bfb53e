"""What can go wrong, in one class."""

from __future__ import annotations

from typing import Optional

import httpx


class SandyError(RuntimeError):
    """A call that did not succeed.

    Attributes:
        status: HTTP status of the answer; 0 when there was none.
        code: the server's name for the failure, for example `sandbox_not_found`; `connection_failed`, `timeout`,
            `stream_broken` and `bad_answer` are the client's own.
        message: one sentence for people.
        retry_after: seconds the server asks to wait before another try, when it does.
    """

    def __init__(self, status: int, code: str, message: str, retry_after: Optional[float] = None) -> None:
        super().__init__(f"{message} ({code})")
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after


def error_from(response: httpx.Response) -> SandyError:
    """The error an answer tells; its body must have been read."""
    code, message = f"http_{response.status_code}", response.text[:500] or response.reason_phrase
    try:
        body = response.json()
    except ValueError:
        body = None
    if isinstance(body, dict):
        if isinstance(body.get("detail"), str):
            message = body["detail"]
        if isinstance(body.get("error"), dict):
            code = str(body["error"].get("code") or code)
            message = str(body["error"].get("message") or message)
    return SandyError(response.status_code, code, message, _seconds(response.headers.get("Retry-After")))


def error_from_transport(failure: httpx.HTTPError) -> SandyError:
    """The error for a request that got no complete answer."""
    reason = str(failure) or type(failure).__name__
    if isinstance(failure, httpx.TimeoutException):
        return SandyError(0, "timeout", f"the server did not answer in time: {reason}")
    return SandyError(0, "connection_failed", f"the connection to the server failed: {reason}")


def _seconds(text: Optional[str]) -> Optional[float]:
    try:
        return float(text) if text else None
    except ValueError:  # an HTTP date; nobody needs it that exactly
        return None
