"""Both clients against a stand-in: what they send, how they read what servers answer."""

import asyncio
import base64
import inspect
import json

import httpx
import pytest
import sandy

SANDBOX = {"sandbox_id": "0123456789abcdef", "public_url": "https://0123456789abcdef.box.test", "status": "running", "ttl_remaining": 600}
BOX = "/api/sandboxes/0123456789abcdef"


def sse(*events):
    return "".join(f"event: {name}\nid: 1\ndata: {json.dumps(data)}\n\n" for name, data in events).encode()


def stream_of(data, pieces=1):
    size = max(1, len(data) // pieces)

    class Pieces(httpx.AsyncByteStream, httpx.SyncByteStream):
        def __iter__(self):
            return iter(data[start : start + size] for start in range(0, len(data), size))

        async def __aiter__(self):
            for piece in self:
                yield piece

    return httpx.Response(200, headers={"Content-Type": "text/event-stream"}, stream=Pieces())


def test_create_sends_the_fields_and_the_key_and_describes_the_sandbox(caller, stand_in):
    stand_in.answers["POST /api/sandboxes"] = SANDBOX
    box = caller.call("create_sandbox", 120, [3000], "HIGH", image="basic")
    assert (box.id, box.public_url, box.status, box.ttl_remaining) == tuple(SANDBOX.values())
    assert stand_in.body() == {"ttl_seconds": 120, "expose_ports": [3000], "priority": "HIGH", "image": "basic"}
    assert stand_in.requests[0].headers["Authorization"] == "Bearer key-1"


@pytest.mark.parametrize("spelling", ["sandbox_id", "sandboxId", "id"])
def test_every_spelling_of_the_id_is_read(caller, stand_in, spelling):
    stand_in.answers["POST /api/sandboxes"] = {spelling: "abcdefgh", "url": "http://abcdefgh.box.test"}
    box = caller.call("create_sandbox")
    assert (box.id, box.public_url, box.status) == ("abcdefgh", "http://abcdefgh.box.test", "unknown")


def test_a_command_gives_its_outputs_and_its_exit_code(caller, stand_in):
    stand_in.answers[f"POST {BOX}/exec"] = {"stdout": "a\n", "stderr": "b\n", "exitCode": 3}
    out, err, code = caller.call("exec_command", "0123456789abcdef", "x", timeout=7, cwd="/tmp")
    assert (out, err, code) == ("a\n", "b\n", 3)
    assert stand_in.body() == {"command": "x", "timeout": 7, "cwd": "/tmp"}
    assert stand_in.requests[0].extensions["timeout"]["read"] == 17


def test_an_answer_without_exit_code_is_an_error_not_a_success(caller, stand_in):
    stand_in.answers[f"POST {BOX}/exec"] = {"stdout": ""}
    with pytest.raises(sandy.SandyError, match="bad_answer"):
        caller.call("exec_command", "0123456789abcdef", "x")


def test_a_sandbox_is_paused_and_resumed(caller, stand_in):
    stand_in.answers[f"POST {BOX}/pause"] = {**SANDBOX, "status": "paused", "paused": True}
    stand_in.answers[f"POST {BOX}/resume"] = SANDBOX
    paused = caller.call("pause", "0123456789abcdef")
    assert (paused.status, paused.details["paused"]) == ("paused", True)
    assert caller.call("resume", "0123456789abcdef").status == "running"


@pytest.mark.parametrize("pieces", [1, 7, 10_000])
def test_a_stream_gives_exact_bytes_however_it_is_cut(caller, stand_in, pieces):
    raw = bytes(range(256))
    body = b": keep-alive\n\n" + sse(
        ("stdout", {"offset": 0, "text": "grüße\n"}),
        ("stderr", {"offset": 8, "base64": base64.b64encode(raw).decode()}),
        ("exit", {"exitCode": 9, "exit_code": 9, "timedOut": False}),
    )
    stand_in.answers[f"POST {BOX}/exec"] = stream_of(body, pieces)
    stream = caller.call("exec_command", "0123456789abcdef", "x", stream=True)
    chunks = caller.pieces(stream)
    assert [(each.stream, each.data, each.offset) for each in chunks] == [("stdout", "grüße\n".encode(), 0), ("stderr", raw, 8)]
    assert chunks[0].text == "grüße\n"
    assert (stream.exit_code, stream.timed_out) == (9, False)
    assert stand_in.body()["stream"] is True
    assert stand_in.requests[0].headers["Accept"] == "text/event-stream"


def test_a_stream_that_ends_without_exit_is_an_error(caller, stand_in):
    stand_in.answers[f"POST {BOX}/exec"] = stream_of(sse(("stdout", {"offset": 0, "text": "x"})))
    with pytest.raises(sandy.SandyError, match="stream_broken"):
        caller.pieces(caller.call("exec_command", "0123456789abcdef", "x", stream=True))


def test_a_stream_passes_on_why_the_command_was_lost(caller, stand_in):
    error = {"detail": "Sandbox expired", "error": {"code": "sandbox_ended", "message": "Sandbox expired"}}
    stand_in.answers[f"POST {BOX}/exec"] = stream_of(sse(("error", error)))
    with pytest.raises(sandy.SandyError) as caught:
        caller.pieces(caller.call("exec_command", "0123456789abcdef", "x", stream=True))
    assert (caught.value.code, caught.value.message) == ("sandbox_ended", "Sandbox expired")


def test_a_refused_stream_tells_the_error(caller, stand_in):
    stand_in.answers[f"POST {BOX}/exec"] = httpx.Response(
        404, json={"detail": "Sandbox not found", "error": {"code": "sandbox_not_found", "message": "Sandbox not found"}}
    )
    with pytest.raises(sandy.SandyError, match="Sandbox not found") as caught:
        caller.pieces(caller.call("exec_command", "0123456789abcdef", "x", stream=True))
    assert caught.value.status == 404


def test_awaiting_a_stream_gives_the_stream():
    async def scenario():
        transport = httpx.MockTransport(lambda _: stream_of(sse(("exit", {"exit_code": 0}))))
        async with sandy.SandyClient("http://sandy.test", transport=transport) as client:
            stream = await client.exec_command("0123456789abcdef", "x", stream=True)
            assert [chunk async for chunk in stream] == []
            return stream.exit_code

    assert asyncio.run(scenario()) == 0


AGENT_EVENTS = [
    {"type": "status", "message": "Starting Claude Code..."},
    {"type": "agent-output", "data": {"type": "assistant", "message": {"content": [{"type": "text", "text": "grüße"}]}}},
    {"type": "heartbeat", "elapsed": 5.0},
    {"type": "error", "error": "no luck"},
    {"type": "complete", "exitCode": 1, "success": False, "duration": 6.5, "cancelled": False},
]


def agent_stream(events, pieces=1):
    return stream_of("".join(f"data: {json.dumps(event, ensure_ascii=False)}\n\n" for event in events).encode(), pieces)


@pytest.mark.parametrize("pieces", [1, 7, 10_000])
def test_the_events_of_an_agent_come_as_they_were_sent_however_they_are_cut(caller, stand_in, pieces):
    stand_in.answers[f"POST {BOX}/agent/run"] = agent_stream(AGENT_EVENTS, pieces)
    events = caller.client.run_agent("0123456789abcdef", "claude-code", "some/model", "Do it.", maxDuration=60, stream=False)
    assert caller.pieces(events) == AGENT_EVENTS
    assert stand_in.body() == {"agent": "claude-code", "model": "some/model", "prompt": "Do it.", "maxDuration": 60, "stream": True}
    assert stand_in.requests[0].extensions["timeout"]["read"] == 60


def test_an_agents_stream_that_ends_without_complete_is_an_error(caller, stand_in):
    stand_in.answers[f"POST {BOX}/agent/run"] = agent_stream(AGENT_EVENTS[:-1])
    with pytest.raises(sandy.SandyError, match="stream_broken"):
        caller.pieces(caller.client.run_agent("0123456789abcdef", "codex", "m", "p"))


def test_an_agent_that_is_refused_tells_why(caller, stand_in):
    text = "An agent runs in this sandbox already"
    stand_in.answers[f"POST {BOX}/agent/run"] = httpx.Response(409, json={"detail": text, "error": {"code": "conflict", "message": text}})
    with pytest.raises(sandy.SandyError, match=text) as caught:
        caller.pieces(caller.client.run_agent("0123456789abcdef", "codex", "m", "p"))
    assert (caught.value.status, caught.value.code) == (409, "conflict")


def test_agents_are_listed_described_and_cancelled(caller, stand_in):
    codex = {"id": "codex", "name": "OpenAI Codex", "installed": True}
    stand_in.answers["GET /api/agents"] = {"agents": [codex], "models": []}
    stand_in.answers[f"GET {BOX}/agent/status"] = {"running": True, "status": "running", "agent": "codex"}
    stand_in.answers[f"POST {BOX}/agent/cancel"] = {"success": True, "cancelled": True}
    assert caller.call("agents") == [codex]
    assert caller.call("agent_status", "0123456789abcdef")["running"] is True
    assert caller.call("cancel_agent", "0123456789abcdef") is True


@pytest.mark.parametrize("content", ["grüße", b"\x00\xff", ""])
def test_files_are_written_as_base64(caller, stand_in, content):
    stand_in.answers[f"POST {BOX}/files/write"] = {"success": True}
    caller.call("write_file", "0123456789abcdef", "a.txt", content)
    sent = stand_in.body()
    expected = content.encode() if isinstance(content, str) else content
    assert (sent["path"], sent["encoding"], base64.b64decode(sent["content"])) == ("a.txt", "base64", expected)


def test_files_too_large_for_json_are_written_as_bytes(caller, stand_in, monkeypatch):
    monkeypatch.setattr("sandy.protocol.LARGEST_JSON_FILE", 3)
    stand_in.answers[f"PUT {BOX}/files"] = {"size": 4}
    caller.call("write_file", "0123456789abcdef", "/tmp/a b", b"1234")
    assert (stand_in.requests[0].url.params["path"], stand_in.requests[0].content) == ("/tmp/a b", b"1234")


@pytest.mark.parametrize(
    "answer, expected",
    [
        ({"content": b"\x00\xff", "headers": {"Content-Type": "application/octet-stream"}}, b"\x00\xff"),
        ({"json": {"content": "grüße", "encoding": "utf-8"}}, "grüße".encode()),
        ({"json": {"content": "AP8=", "encoding": "base64"}}, b"\x00\xff"),
    ],
    ids=["raw", "text", "base64"],
)
def test_files_are_read_in_both_forms(caller, stand_in, answer, expected):
    stand_in.answers[f"GET {BOX}/files/read"] = httpx.Response(200, **answer)
    assert caller.call("read_file", "0123456789abcdef", "a.txt") == expected
    assert dict(stand_in.requests[0].url.params) == {"path": "a.txt", "raw": "1"}


def test_downloads_come_in_pieces(caller, stand_in):
    stand_in.answers[f"GET {BOX}/files"] = stream_of(b"0123456789", 5)
    assert caller.pieces(caller.call("download", "0123456789abcdef", "a")) == [b"01", b"23", b"45", b"67", b"89"]


def test_an_error_has_status_code_and_message(caller, stand_in):
    stand_in.answers["POST /api/sandboxes"] = httpx.Response(
        503,
        headers={"Retry-After": "2"},
        json={"detail": "No room", "error": {"code": "capacity_exhausted", "message": "No room"}},
    )
    with pytest.raises(sandy.SandyError) as caught:
        caller.call("create_sandbox")
    failure = caught.value
    assert (failure.status, failure.code, failure.message, failure.retry_after) == (503, "capacity_exhausted", "No room", 2.0)


@pytest.mark.parametrize("body", [b"<html>bad gateway</html>", b"", b"[1]"])
def test_an_error_that_is_not_ours_is_still_one(caller, stand_in, body):
    stand_in.answers["POST /api/sandboxes"] = httpx.Response(502, content=body)
    with pytest.raises(sandy.SandyError) as caught:
        caller.call("create_sandbox")
    assert (caught.value.status, caught.value.code) == (502, "http_502")


@pytest.mark.parametrize("failure, code", [(httpx.ConnectError("refused"), "connection_failed"), (httpx.ReadTimeout("slow"), "timeout")])
def test_no_answer_is_an_error_with_status_zero(caller, stand_in, failure, code):
    stand_in.answers["POST /api/sandboxes"] = failure
    with pytest.raises(sandy.SandyError) as caught:
        caller.call("create_sandbox")
    assert (caught.value.status, caught.value.code) == (0, code)


def test_a_strange_id_never_becomes_part_of_a_path(caller, stand_in):
    for strange in ["", "../x", "a/b", "a?b", "a b"]:
        with pytest.raises(ValueError):
            caller.call("terminate", strange)
    assert stand_in.requests == []


def test_terminate_status_and_list(caller, stand_in):
    stand_in.answers.update({f"POST {BOX}/terminate": {"status": "terminated"}, f"GET {BOX}": SANDBOX, "GET /api/sandboxes": {"sandboxes": [SANDBOX]}})
    assert caller.call("get_status", "0123456789abcdef").ttl_remaining == 600
    assert [box.id for box in caller.call("list_sandboxes")] == ["0123456789abcdef"]
    assert caller.call("terminate", "0123456789abcdef") is None


def test_settings_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("SANDY_BASE_URL", "http://elsewhere.test/")
    assert sandy.SandyClient().base_url == "http://elsewhere.test"
    monkeypatch.delenv("SANDY_BASE_URL")
    with pytest.raises(ValueError, match="SANDY_BASE_URL"):
        sandy.SyncSandyClient()


def test_one_client_serves_several_event_loops(stand_in):
    stand_in.answers[f"GET {BOX}"] = SANDBOX
    client = sandy.SandyClient("http://sandy.test", transport=stand_in.transport)
    assert [asyncio.run(client.get_status("0123456789abcdef")).status for _ in range(2)] == ["running", "running"]


@pytest.mark.parametrize(
    "public_url, expected",
    [
        ("https://0123456789abcdef.box.test", "https://0123456789abcdef.box.test:3000"),
        ("http://0123456789abcdef.box.test:7330", f"http://sandy.test{BOX}/proxy/3000"),
        ("", f"http://sandy.test{BOX}/proxy/3000"),
    ],
)
def test_a_port_has_an_address_that_can_work(caller, public_url, expected):
    box = sandy.Sandbox("0123456789abcdef", public_url, "running", 1)
    assert caller.client.port_url(box, 3000) == expected


def test_a_terminal_is_where_a_websocket_library_finds_it(caller):
    url = caller.client.terminal_url("ab12", command="ls -l", cols=120, readonly=True, offset=None)
    assert url == f"ws{caller.client.base_url[4:]}/api/sandboxes/ab12/terminal?command=ls+-l&cols=120&readonly=1"
    assert caller.client.terminal_url("ab12").endswith("/ab12/terminal")
    assert caller.client.terminal_headers == {"Authorization": "Bearer key-1"}
    with pytest.raises(ValueError):
        caller.client.terminal_url("../x")


def test_the_twins_have_the_same_methods_and_parameters():
    def surface(kind):
        methods = inspect.getmembers(kind, inspect.isfunction)
        return {name: list(inspect.signature(method).parameters) for name, method in methods if not name.startswith("_")}

    asynchronous, synchronous = surface(sandy.SandyClient), surface(sandy.SyncSandyClient)
    asynchronous["close"] = asynchronous.pop("aclose")
    assert asynchronous == synchronous


def test_a_preview_is_a_url(caller, stand_in):
    stand_in.answers[f"POST {BOX}/preview"] = {"url": "https://3000-0123456789abcdef.box.test/?sandy_access=1.f", "port": 3000, "ready": True}
    assert caller.call("preview_url", "0123456789abcdef", 3000) == "https://3000-0123456789abcdef.box.test/?sandy_access=1.f"


def test_an_image_comes_from_one_place(caller, stand_in):
    stand_in.answers["POST /api/images"] = {"name": "made"}
    assert caller.call("import_image", reference="ghcr.io/team/agent:1") == {"name": "made"}
    assert stand_in.body() == {"reference": "ghcr.io/team/agent:1"}
    caller.call("import_image", "mine", reference="ghcr.io/team/agent:1")
    assert stand_in.body() == {"reference": "ghcr.io/team/agent:1", "name": "mine"}
    caller.call("import_image", "mine", path="/archives/a.tar")
    assert stand_in.body() == {"name": "mine", "path": "/archives/a.tar"}
    for wrong in ({}, {"path": "/a", "reference": "ghcr.io/a"}):
        with pytest.raises(ValueError):
            caller.call("import_image", "mine", **wrong)
