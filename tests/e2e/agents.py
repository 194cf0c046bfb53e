"""Runs of agents through the service, with a stand-in model inside the sandbox; and how existing clients read their streams."""

import contextlib
import json
from pathlib import Path

from waiting import wait_until

MODEL = "some-lab/stand-in"  # "-MODE" at its end chooses what the stand-in does: see model_server.py


def start_model(api, box: str) -> int:
    """Starts the stand-in inside; its log is /tmp/model.log. @return its port"""
    api.write(box, "/tmp/model_server.py", (Path(__file__).parent / "model_server.py").read_text())
    api.start(box, "exec python3 /tmp/model_server.py --log /tmp/model.log >/tmp/model.port")
    return int(wait_until(lambda: api.output(box, "cat /tmp/model.port || true").strip(), "the model listens", 30))


def order(port: int, agent: str, mode: str = "", **fields) -> dict:
    body = {"agent": agent, "model": MODEL + (f"-{mode}" if mode else ""), "prompt": "Write the file result.txt.",
            "apiBaseUrl": f"http://127.0.0.1:{port}", "apiKey": "sk-of-this-test", "maxDuration": 120, "rawPrompt": True}
    return {**body, **fields}


@contextlib.contextmanager
def run(api, box: str, body: dict):
    """The events of a run as they come, read to the byte as the strictest of clients does."""
    with api.http.stream("POST", f"/api/sandboxes/{box}/agent/run", json=body, timeout=150) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["Content-Type"].split(";")[0] == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-cache"
        assert "Content-Encoding" not in response.headers
        yield events_of(response)


def events_of(response):
    pending = b""
    for piece in response.iter_raw():
        pending += piece
        assert b"\r" not in pending
        while b"\n\n" in pending:
            event, pending = pending.split(b"\n\n", 1)
            assert event.startswith(b"data: {") and b"\n" not in event, event
            yield json.loads(event[len(b"data: "):])
    assert pending == b""


def all_events(api, box: str, body: dict) -> list:
    with run(api, box, body) as events:
        return list(events)


def end_of(events: list) -> dict:
    """The one `complete` event, which is the last; checks what every stream keeps."""
    assert [each["type"] for each in events].count("complete") == 1 and events[-1]["type"] == "complete", events
    end = events[-1]
    assert isinstance(end["exitCode"], int) and isinstance(end["success"], bool) and isinstance(end["cancelled"], bool)
    assert isinstance(end["duration"], (int, float)) and not isinstance(end["duration"], bool)
    assert any(each["type"] == "status" for each in events[:-1])
    for each in events:
        if each["type"] == "heartbeat":
            assert isinstance(each["elapsed"], (int, float))
        if each["type"] == "files-update":
            assert each["files"] and all({"path", "content", "changeType"} <= file.keys() for file in each["files"])
            assert all({"path", "changeType"} <= change.keys() for change in each["changes"])
            assert isinstance(each["totalFiles"], int)
    return end


def steps(events: list) -> list:
    """What an agent did, one word a step, in order."""
    seen = []
    for each in (event["data"] for event in events if event["type"] == "agent-output"):
        if each["type"] == "system" and each["subtype"] == "init":
            seen.append("init")
        if each["type"] == "result":
            seen.append(f"result: {each['subtype']}")
        if each["type"] in ("assistant", "user"):
            for block in each["message"]["content"]:
                seen.append(f"text: {block['text']}" if block["type"] == "text" else block["type"])
    return seen


def texts(events: list) -> str:
    """What BASE shows of a stream: text blocks of `agent-output`, and `output`."""
    shown = []
    for each in events:
        if each["type"] == "output":
            shown.append(each["text"])
        data = each.get("data")
        if each["type"] == "agent-output" and data.get("type") == "assistant":
            shown += [block["text"] for block in data["message"]["content"] if block["type"] == "text"]
    return "\n".join(shown)


def processes(api, box: str) -> str:
    return api.output(box, "ps -e -o args= | grep -v -e model_server -e 'ps -e' -e grep -e /proc/self/fd/4 -e bash || true")
