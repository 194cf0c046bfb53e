"""The client against the real server."""

import asyncio
import hashlib
import json

import pytest
import sandy
from client_caller import Caller


@pytest.fixture
def environment(server, monkeypatch):
    """For what makes its own client."""
    monkeypatch.setenv("SANDY_BASE_URL", server.base_url)
    monkeypatch.setenv("SANDY_API_KEY", server.api_key)


@pytest.fixture(params=["asynchronous", "synchronous"])
def caller(request, server):
    kind = sandy.SandyClient if request.param == "asynchronous" else sandy.SyncSandyClient
    with asyncio.Runner() as runner:
        caller = Caller(kind(server.base_url, server.api_key), runner.run)
        yield caller
        caller.call("aclose" if request.param == "asynchronous" else "close")


@pytest.fixture
def box(caller):
    sandbox = caller.call("create_sandbox", ttl_seconds=300)
    yield sandbox.id
    caller.call("terminate", sandbox.id)


def test_a_session_from_create_to_terminate(caller):
    box = caller.call("create_sandbox", ttl_seconds=120, expose_ports=[3000], priority="HIGH")
    assert box.status == "running" and box.public_url and 110 <= box.ttl_remaining <= 120
    out, err, code = caller.call("exec_command", box.id, "python3 -c 'print(6 * 7)'; echo oops >&2; exit 3")
    assert (out, err, code) == ("42\n", "oops\n", 3)
    assert caller.call("get_status", box.id).id == box.id
    assert box.id in [each.id for each in caller.call("list_sandboxes")]
    assert caller.call("refresh", box.id, 600).ttl_remaining > 500
    caller.call("terminate", box.id)
    caller.call("terminate", box.id)  # repeating is harmless
    with pytest.raises(sandy.SandyError) as caught:
        caller.call("get_status", box.id)
    assert (caught.value.status, caught.value.code) == (404, "sandbox_not_found")


def test_a_file_system_is_kept_and_shared(caller, box):
    caller.call("write_file", box, "note", b"kept")
    image = caller.call("snapshot", box)
    assert image["name"] in [each["name"] for each in caller.call("list_images")]
    copies = [caller.call("create_sandbox", image=image["name"]), *caller.call("fork", box, 2, ttl_seconds=60)]
    for copy in copies:
        assert caller.call("read_file", copy.id, "note") == b"kept"
        caller.call("terminate", copy.id)
    caller.call("delete_image", image["name"])
    assert image["name"] not in [each["name"] for each in caller.call("list_images")]


def test_output_streams_exactly_and_ends_with_the_exit_code(caller, box):
    command = "head -c 3000000 /dev/zero; head -c 256 /dev/urandom | tee /tmp/random >&2; printf 'grüße'; exit 5"
    stream = caller.call("exec_command", box, command, stream=True)
    chunks = caller.pieces(stream)
    out = b"".join(chunk.data for chunk in chunks if chunk.stream == "stdout")
    err = b"".join(chunk.data for chunk in chunks if chunk.stream == "stderr")
    assert out == bytes(3000000) + "grüße".encode()
    assert err == caller.call("read_file", box, "/tmp/random")
    assert [chunk.offset for chunk in chunks] == [sum(len(each.data) for each in chunks[:index]) for index in range(len(chunks))]
    assert (stream.exit_code, stream.timed_out) == (5, False)


def test_a_command_ends_at_its_timeout(caller, box):
    out, err, code = caller.call("exec_command", box, "echo begun; sleep 60", timeout=1)
    assert (out, code) == ("begun\n", 124) and "timed out" in err
    stream = caller.call("exec_command", box, "sleep 60", timeout=1, stream=True)
    assert caller.pieces(stream) == [] and (stream.exit_code, stream.timed_out) == (124, True)


@pytest.mark.parametrize(
    "content",
    [b"", "grüße\n".encode(), bytes(range(256)) * 5000, b'{"content": "not an envelope"}'],
    ids=["empty", "text", "binary", "json"],
)
def test_files_come_back_as_they_were(caller, box, content):
    caller.call("write_file", box, "some/where/a file.json", content)
    assert caller.call("read_file", box, "/workspace/some/where/a file.json") == content


def test_files_are_listed_described_moved_and_removed(caller, box):
    caller.call("write_file", box, "src/a.txt", "abc")
    caller.call("make_directory", box, "lib/deep")
    caller.call("move", box, "src/a.txt", "lib/deep/b.txt")
    assert caller.call("list_files", box) == ["lib/deep/b.txt"]
    assert caller.call("stat", box, "lib/deep/b.txt")["size"] == 3
    caller.call("delete_file", box, "lib", recursive=True)
    with pytest.raises(sandy.SandyError) as caught:
        caller.call("read_file", box, "lib/deep/b.txt")
    assert caught.value.code == "file_not_found"


def test_large_files_stream_both_ways(caller, box):
    size, piece = 48, bytes(range(256)) * 4096
    digest = hashlib.sha256(piece * size).hexdigest()

    async def pieces():
        for _ in range(size):
            yield piece

    source = pieces() if isinstance(caller.client, sandy.SandyClient) else (piece for _ in range(size))
    assert caller.call("upload", box, "large.bin", source)["sha256"] == digest
    received = hashlib.sha256()
    for part in caller.pieces(caller.call("download", box, "large.bin")):
        received.update(part)
    assert received.hexdigest() == digest


def test_background_processes_are_listed(caller, box):
    process = caller.call("start_process", box, "sleep 100")
    assert process["status"] == "running"
    assert [each["status"] for each in caller.call("list_processes", box)] == ["running"]


def order_agent(caller, box, script, prompt="Do it."):
    """Lets a script be Claude Code: its program is looked up in the PATH of the run."""
    caller.call("write_file", box, "/workspace/bin/claude", f"#!/bin/bash\n{script}\n")
    assert caller.call("exec_command", box, "chmod +x /workspace/bin/claude").exit_code == 0
    return caller.client.run_agent(box, "claude", "some/model", prompt, env={"PATH": "/workspace/bin:/usr/bin:/bin"}, maxDuration=60)


def test_an_agents_events_come_and_end_with_its_outcome(caller, box):
    said = {"type": "result", "subtype": "success", "is_error": False, "result": "done"}
    script = f"cat >prompt.txt; echo '{json.dumps(said)}'"
    events = caller.pieces(order_agent(caller, box, script, "grüße" * 100_000))
    assert said in [event["data"] for event in events if event["type"] == "agent-output"]
    assert (events[-1]["type"], events[-1]["exitCode"], events[-1]["success"]) == ("complete", 0, True)
    assert caller.call("read_file", box, "prompt.txt").decode() == "grüße" * 100_000
    after = caller.call("agent_status", box)
    assert (after["running"], after["status"], after["agent"]) == (False, "succeeded", "claude-code")


def test_an_agent_that_is_cancelled_ends_its_stream_in_order(caller, box):
    events = order_agent(caller, box, "echo begun; exec sleep 1000")
    while caller.next(events).get("text") != "begun":
        pass
    with pytest.raises(sandy.SandyError, match="conflict"):
        caller.pieces(caller.client.run_agent(box, "codex", "m", "p"))
    assert caller.call("cancel_agent", box) is True
    end = caller.pieces(events)[-1]
    assert (end["type"], end["exitCode"], end["success"], end["cancelled"]) == ("complete", 130, False, True)
    assert caller.call("cancel_agent", box) is False


def test_the_agents_of_the_server_are_listed(caller):
    assert {"id", "name", "installed"} <= caller.call("agents")[0].keys()
    assert "claude-code" in [agent["id"] for agent in caller.call("agents")]


def test_many_commands_at_once(server):
    async def scenario():
        async with sandy.SandyClient(server.base_url, server.api_key) as client:
            box = await client.create_sandbox()
            results = await asyncio.gather(*[client.exec_command(box.id, f"sleep 0.2; echo {n}") for n in range(20)])
            await client.terminate(box.id)
            return [result.stdout for result in results]

    assert asyncio.run(scenario()) == [f"{n}\n" for n in range(20)]


@pytest.mark.parametrize("language, script", [("python", "print(6 * 7)"), ("node", "console.log(6 * 7)"), ("bash", "echo $((6 * 7))")])
def test_isolated_tasks_run_and_leave_no_sandbox(environment, language, script):
    assert asyncio.run(sandy.run_isolated_task(script, language)) == ("42\n", "", 0)
    assert sandy.SyncSandyClient().list_sandboxes() == []


def test_a_webapp_is_running_when_deploy_returns(environment):
    async def scenario():
        page = "import http.server as h, time; time.sleep(1); h.test(h.SimpleHTTPRequestHandler, port=3000)"
        box, url = await sandy.deploy_webapp({"app.py": page, "index.html": "hello"}, "cd /workspace && python3 app.py")
        async with sandy.SandyClient() as client:
            result = await client.exec_command(box.id, "curl -s http://127.0.0.1:3000/")
            await client.terminate(box.id)
        return result.stdout, url

    page, url = asyncio.run(scenario())
    assert page == "hello" and url.startswith("http")


def test_a_webapp_that_fails_tells_its_log_and_leaves_no_sandbox(environment):
    with pytest.raises(sandy.SandyError, match="no luck today") as caught:
        asyncio.run(sandy.deploy_webapp({}, "echo no luck today; exit 3"))
    assert caught.value.code == "app_not_ready" and "exit code 3" in caught.value.message
    assert sandy.SyncSandyClient().list_sandboxes() == []


def test_agents_inside_a_sandbox_import_the_client(caller, box):
    code = "from lib.sandy_client import SandyClient, Sandbox, create_webapp_sandbox, run_isolated_task; from lib.webapp_host import deploy_webapp"
    # A project with a lib/ of its own keeps it.
    caller.call("write_file", box, "lib/mine.py", "value = 1")
    result = caller.call("exec_command", box, f"python3 -c '{code}; import lib.mine; print(lib.mine.value)'")
    assert (result.stdout, result.exit_code) == ("1\n", 0), result.stderr


def test_sandboxes_are_connected_and_disconnected(caller):
    first, second = (caller.call("create_sandbox", ttl_seconds=60) for _ in range(2))
    made = caller.call("connect", first.id, second.id)
    assert (made.source, made.target, made.name) == (first.id, second.id, second.id)
    assert caller.call("connections", second.id) == [made]
    assert caller.call("exec_command", first.id, f"getent hosts {made.name}").stdout.split()[0] == made.address
    caller.call("disconnect", first.id, second.id)
    assert caller.call("connections", first.id) == []
    for box in (first, second):
        caller.call("terminate", box.id)
