"""Checks of shapes that several routes share."""

import re
from datetime import datetime
from urllib.parse import urlsplit

# Python before 3.11 reads neither a Z suffix nor other lengths of the fraction.
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3}|\.\d{6})?\+00:00")
# The first label of a host name, part of cookies and of paths; WEB makes a name of the first eight characters.
ID = re.compile(r"[a-z0-9]{8}[a-z0-9]*")


def timestamp(text: str) -> datetime:
    assert TIMESTAMP.fullmatch(text), text
    return datetime.fromisoformat(text)


def check_sandbox(body: dict) -> None:
    """The answer that satisfies every client (create, get, refresh)."""
    assert body["sandboxId"] == body["sandbox_id"] == body["id"]
    assert ID.fullmatch(body["id"])
    url = body["url"]
    assert url == body["public_url"] == body["sandbox_url"]
    parts = urlsplit(url)
    assert parts.scheme in ("http", "https") and parts.hostname.split(".")[0] == body["id"]
    assert parts.path == "" and not url.endswith("/")
    assert body["status"] == "running"
    assert timestamp(body["createdAt"]) == timestamp(body["created_at"])
    assert timestamp(body["timeoutAt"]) == timestamp(body["timeout_at"]) == timestamp(body.get("expiresAt", body["timeoutAt"]))
    lifetime = (timestamp(body["timeoutAt"]) - timestamp(body["createdAt"])).total_seconds()
    remaining = body["ttl_remaining"]
    assert type(remaining) is int and remaining == body["ttlRemaining"] and 0 < remaining <= lifetime + 1
    assert type(body["vnc"]["enabled"]) is bool  # an object, never null: GATE calls .get on it
    assert isinstance(body["flavor"], str) and isinstance(body["image"], str)
    assert type(body["priority"]) is int and body["priorityName"] in ("CRITICAL", "HIGH", "NORMAL", "LOW")
    assert type(body["preemptable"]) is bool and isinstance(body["expose_ports"], list)
    capabilities = body["capabilities"]
    assert all(type(capabilities[name]) is bool for name in ("vnc", "browser", "agentBrowser", "playwright"))
    assert isinstance(capabilities["agents"], list)
