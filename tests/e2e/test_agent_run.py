"""Agents at work: real programs in a real sandbox, with a stand-in model."""

import concurrent.futures
import contextlib
import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import agents
import httpx
import pytest
from memory import resident_bytes
from running_server import NotStarted
from service import Service, answer, refusal
from waiting import wait_until

INSTALLED = ["claude-code", "codex", "opencode", "gemini", "qwen", "aider"]


@pytest.fixture(scope="module")
def box(api):
    with api.box(image="agent-ready") as made:
        yield made


@pytest.fixture(scope="module")
def port(api, box):
    return agents.start_model(api, box)


@pytest.fixture(autouse=True)
def clean(api, request):
    if "box" in request.fixturenames:
        api.output(request.getfixturevalue("box"), "rm -rf /workspace/* /tmp/model.log; touch /tmp/model.log")


def status(api, box: str) -> dict:
    return answer(api.http.get(f"/api/sandboxes/{box}/agent/status"))


def cancel(api, box: str) -> dict:
    return answer(api.http.post(f"/api/sandboxes/{box}/agent/cancel"))


def first_of(events, kind: str) -> dict:
    return next(each for each in events if each["type"] == kind)


@pytest.mark.parametrize("agent", INSTALLED)
def test_an_agent_writes_its_file_and_its_stream_tells(api, box, port, agent):
    events = agents.all_events(api, box, agents.order(port, agent))
    end = agents.end_of(events)
    assert (end["exitCode"], end["success"], end["cancelled"]) == (0, True, False), events
    assert api.output(box, "cat result.txt") == "written by an agent\n"
    assert events[0]["type"] == "status" and events[0]["message"].startswith("Starting ")
    assert events[1]["type"] == "status" and agents.MODEL in events[1]["message"]
    assert not any(each["type"] == "error" for each in events), events
    changed = {file["path"]: file for each in events if each["type"] == "files-update" for file in each["files"]}
    assert changed["result.txt"]["content"] == "written by an agent\n"
    assert changed["result.txt"]["changeType"] == "created"
    if agent == "aider":  # it prints text for people
        assert "Applied edit to result.txt" in agents.texts(events)
    else:
        assert agents.steps(events) == [
            "init", "text: I will write the file now.", "tool_use", "tool_result", "text: The work is done.", "result: success"]
    after = status(api, box)
    assert after["running"] is False and after["status"] == "succeeded" and after["agent"] == agent
    assert "result.txt" in after["filesModified"]


def test_claudes_own_objects_pass_unchanged(api, box, port):
    events = agents.all_events(api, box, agents.order(port, "claude"))
    said = [each["data"] for each in events if each["type"] == "agent-output"]
    assert said[0]["type"] == "system" and said[0]["subtype"] == "init"
    assert any(each["type"] == "stream_event" and "event" in each for each in said)
    used = [block for each in said if each["type"] == "assistant" for block in each["message"]["content"] if block["type"] == "tool_use"]
    assert used and "input" in used[0]
    assert said[-1]["type"] == "result" and said[-1]["is_error"] is False


@pytest.mark.parametrize("agent", INSTALLED)
def test_a_run_that_is_cancelled_leaves_nothing_of_it(api, box, port, agent):
    mode = "slow" if agent == "aider" else "forever"  # aider has no tool that runs for ever
    before = agents.processes(api, box)
    with agents.run(api, box, agents.order(port, agent, mode)) as stream:
        events = [first_of(stream, "status")]
        wait_until(lambda: api.output(box, "cat /tmp/model.log"), "the model was asked", 60)
        if mode == "forever":
            wait_until(lambda: "tail -f /dev/null" in agents.processes(api, box), "the tool runs", 60)
        assert status(api, box)["running"] is True
        assert cancel(api, box) == {"success": True, "cancelled": True}
        events += list(stream)
    end = agents.end_of(events)
    assert (end["exitCode"], end["success"], end["cancelled"]) == (130, False, True)
    wait_until(lambda: agents.processes(api, box) == before, "what was killed is gone", 30)
    assert status(api, box)["status"] == "cancelled"
    assert cancel(api, box) == {"success": True, "cancelled": False}


@pytest.fixture(scope="module")
def boxes(api):
    """A sandbox for each agent, and the port of its model."""
    with contextlib.ExitStack() as stack:
        made = {agent: stack.enter_context(api.box(image="agent-ready")) for agent in INSTALLED}
        yield {agent: (box, agents.start_model(api, box)) for agent, box in made.items()}


# Of a wrong key every agent hears, and says so; the rest some try again until their time is over.
@pytest.mark.parametrize("mode, limit", [("401", 120), ("500", 12), ("hang", 12), ("hang-before", 12), ("cut", 12)])
def test_a_model_that_fails_ends_every_agents_run_in_its_time_with_the_truth(api, boxes, mode, limit):

    def fail(agent: str) -> list:
        box, port = boxes[agent]
        return agents.all_events(api, box, agents.order(port, agent, mode, maxDuration=limit))

    with concurrent.futures.ThreadPoolExecutor(len(INSTALLED)) as pool:
        streams = dict(zip(INSTALLED, pool.map(fail, INSTALLED)))
    for agent, events in streams.items():
        end = agents.end_of(events)
        assert end["success"] is False and end["cancelled"] is False, (agent, events)
        assert end["duration"] < limit + 12, agent
        assert api.output(boxes[agent][0], "ls") == "", agent
        errors = [each["error"] for each in events if each["type"] == "error"]
        if mode == "401":
            assert "key is " in errors[0], (agent, events)
        elif end["exitCode"] == 124:  # it still tried
            assert any("maximum duration" in each.get("message", "") for each in events), (agent, events)
            assert not errors, (agent, errors)  # else clients would repeat the run
        else:
            assert errors, (agent, events)


def test_one_agent_at_a_time_works_in_a_sandbox(api, box, port):
    with agents.run(api, box, agents.order(port, "claude-code", "slow")) as stream:
        first_of(stream, "status")
        refused = api.http.post(f"/api/sandboxes/{box}/agent/run", json=agents.order(port, "codex"))
        assert "already" in refusal(refused, 409)
        cancel(api, box)
        assert list(stream)[-1]["exitCode"] == 130
    assert agents.end_of(agents.all_events(api, box, agents.order(port, "codex")))["success"] is True


def test_a_client_that_goes_away_ends_its_run(api, box, port):
    with agents.run(api, box, agents.order(port, "claude-code", "slow")) as stream:
        first_of(stream, "agent-output")
    wait_until(lambda: status(api, box)["running"] is False, "the run ended", 30)
    assert status(api, box)["status"] == "cancelled"
    wait_until(lambda: "claude" not in agents.processes(api, box), "what was killed is gone", 30)


def test_the_end_of_the_sandbox_is_told(api):
    with api.box(image="agent-ready") as box:
        port = agents.start_model(api, box)
        with agents.run(api, box, agents.order(port, "codex", "slow")) as stream:
            events = [first_of(stream, "agent-output")]
            api.terminate(box)
            events += list(stream)
    assert (events[-1]["type"], events[-1]["exitCode"], events[-1]["success"]) == ("complete", 137, False)
    assert events[-2] == {"type": "error", "error": "sandbox terminated"}


def test_an_agent_that_is_not_installed_says_so(api):
    with api.box(image="basic") as box:
        events = agents.all_events(api, box, agents.order(1, "claude-code"))
    end = agents.end_of(events)
    assert (end["exitCode"], end["success"]) == (127, False)
    assert "not installed" in first_of(events, "error")["error"]


def test_without_a_stream_one_object_tells_all(api, box, port):
    done = answer(api.http.post(f"/api/sandboxes/{box}/agent/run", json=agents.order(port, "codex", stream=False), timeout=120))
    assert done["status"] == "completed" and done["success"] is True and done["exit_code"] == 0
    assert done["output"] and done["error"] is None and done["duration_ms"] > 0
    assert done["files_modified"] == ["result.txt"]


@pytest.mark.parametrize("agent", INSTALLED)
def test_a_long_prompt_arrives_whole(api, box, port, agent):
    prompt = "Write the file result.txt. " + "quoted ' \" $HOME `id` \\ é\n" * 4000
    done = answer(api.http.post(f"/api/sandboxes/{box}/agent/run", json=agents.order(port, agent, prompt=prompt, stream=False), timeout=120))
    assert done["success"] is True, done
    assert api.output(box, "cat result.txt") == "written by an agent\n"


def test_the_program_is_searched_in_the_path_of_the_request(api, box, port):
    api.write(box, "/workspace/agent-pack/bin/claude", "#!/bin/sh\necho \"wrapped with $EXTRA and $MORE\"\nexit 3\n", mode="0755")
    env = {"PATH": "/workspace/agent-pack/bin:/usr/local/bin:/usr/bin:/bin", "EXTRA": "env"}
    events = agents.all_events(api, box, agents.order(port, "claude-code", env=env, envVars={"EXTRA": "lost", "MORE": "envVars"}))
    end = agents.end_of(events)
    assert (end["exitCode"], end["success"]) == (3, False)
    assert first_of(events, "output")["text"] == "wrapped with env and envVars"


@pytest.mark.parametrize("change,words", [
    ({"agent": None}, "agent"), ({"model": None}, "model"), ({"prompt": None}, "prompt"), ({"agent": "nobody"}, "nobody"),
    ({"model": "janus-router", "apiBaseUrl": None}, "router"), ({"env": {"A": 1, "B=": "x"}}, "env")])
def test_what_cannot_run_is_refused_before_a_stream(api, box, port, change, words):
    body = {**agents.order(port, "claude-code"), **change}
    assert words in refusal(api.http.post(f"/api/sandboxes/{box}/agent/run", json=body), (400, 422))
    assert status(api, box)["running"] is False


def test_a_sandbox_that_nobody_knows_has_no_agent(api):
    stranger = "/api/sandboxes/0123456789abcdef01234567/agent"
    assert refusal(api.http.post(f"{stranger}/run", json=agents.order(1, "codex")), 404) == "Sandbox not found"
    assert refusal(api.http.post(f"{stranger}/cancel"), 404) == "Sandbox not found"
    assert refusal(api.http.get(f"{stranger}/status"), 404) == "Sandbox not found"


def test_the_list_tells_what_is_installed(api):
    known = answer(api.http.get("/api/agents"))
    assert isinstance(known["models"], list)
    by_id = {each["id"]: each for each in known["agents"]}
    assert all(by_id[agent]["installed"] for agent in INSTALLED)
    assert by_id["claude-code"]["name"] == "Claude Code"


def test_a_sandbox_tells_which_agents_it_has(sandyd):
    server = sandyd()
    with Service(server.base_url, server.api_key) as own:
        made = {image: own.create(image=image)["sandboxId"] for image in ("basic", "agent-ready")}
        told = {image: answer(own.http.get(f"/api/sandboxes/{box}"))["capabilities"]["agents"] for image, box in made.items()}
    assert told == {"basic": [], "agent-ready": sorted(INSTALLED)}
    server.kill()
    server.start()
    with Service(server.base_url, server.api_key) as own:
        assert answer(own.http.get(f"/api/sandboxes/{made['agent-ready']}"))["capabilities"]["agents"] == sorted(INSTALLED)


def test_a_run_outlives_a_pause_of_its_sandbox_and_can_be_cancelled_in_it(api, box, port):
    with agents.run(api, box, agents.order(port, "claude-code", "slow")) as stream:
        events = [first_of(stream, "agent-output")]
        answer(api.http.post(f"/api/sandboxes/{box}/pause"))
        cancel(api, box)
        events += list(stream)
        assert events[-1]["exitCode"] == 130
        answer(api.http.post(f"/api/sandboxes/{box}/resume"))
    wait_until(lambda: "claude" not in agents.processes(api, box), "what was cancelled is gone")


def wrapped(api, box: str, program: str, script: str) -> dict:
    """Puts a script in the place of an agent's program. @return the variables with which a run finds it"""
    api.write(box, f"/workspace/bin/{program}", f"#!/bin/sh\n{script}\n", mode="0755")
    return {"PATH": "/workspace/bin:/usr/bin:/bin"}


def test_a_run_whose_server_was_killed_is_ended_by_the_next_and_stays_in_the_history(sandyd):
    server = sandyd()
    with Service(server.base_url, server.api_key) as own:
        box = own.create(ttl_seconds=600)["sandboxId"]
        env = wrapped(own, box, "aider", "echo first")
        assert agents.end_of(agents.all_events(own, box, agents.order(1, "aider", env=env)))["success"] is True
        wrapped(own, box, "aider", "echo begun; (setsid sleep 1000 &); exec sleep 1000")
        with agents.run(own, box, agents.order(1, "aider", env=env)) as stream:
            first_of(stream, "output")
            server.kill()
            with pytest.raises(httpx.HTTPError):
                list(stream)
    server.start()
    with Service(server.base_url, server.api_key) as own:
        ended = wait_until(lambda: (now := status(own, box))["running"] is False and now, "the run is ended")
        assert (ended["status"], ended["exitCode"]) == ("cancelled", 130) and "server ended" in ended["error"]
        wait_until(lambda: "sleep 1000" not in agents.processes(own, box), "nothing of it is left")
        newest, oldest = answer(own.http.get(f"/api/sandboxes/{box}/agent/runs"))["runs"]
        assert newest == {**ended, "output": ""} and newest["runId"] != oldest["runId"]
        assert (oldest["status"], oldest["output"], oldest["exit_code"]) == ("succeeded", "first\n", 0)
        wrapped(own, box, "aider", "echo again")
        assert agents.end_of(agents.all_events(own, box, agents.order(1, "aider", env=env)))["success"] is True


# Another session, no parent any more, no environment, a name of its own: whatever it does, it is of its run.
HIDING = ("cp /bin/sleep /tmp/hidden; (setsid env -i /tmp/hidden 1001 </dev/null >/dev/null 2>&1 &); "
          "(setsid env -i sh -c '/tmp/hidden 1002 & exec /tmp/hidden 1003' </dev/null >/dev/null 2>&1 &); ")


def groups_of_runs(server, box: str) -> list:
    """The control groups below a sandbox's own."""
    parent = server.cgroup_parent.lstrip("/")
    return [path for pattern in (f"{parent}/{box}/*/", f"*/{parent}/{box}/*/") for path in Path("/sys/fs/cgroup").glob(pattern)]


def test_what_a_run_hides_ends_with_it_and_nothing_else(api, server):
    with api.box() as box:
        api.output(box, "setsid sleep 999 >/dev/null 2>&1 &")
        env = wrapped(api, box, "aider", HIDING + "echo begun; exec sleep 1000")
        with agents.run(api, box, agents.order(1, "aider", env=env)) as stream:
            first_of(stream, "output")
            wait_until(lambda: agents.processes(api, box).count("hidden") == 3, "all of it hides")
            assert len(groups_of_runs(server, box)) == 1
            cancel(api, box)
            assert list(stream)[-1]["exitCode"] == 130
        assert agents.processes(api, box) == "sleep 999\n"  # at once: it was killed before the end was told
        assert groups_of_runs(server, box) == []


def test_what_a_run_left_running_stays_and_its_group_as_long(api, server):
    with api.box() as box:
        env = wrapped(api, box, "aider", "setsid sleep 999 >/dev/null 2>&1 & echo left")
        assert agents.end_of(agents.all_events(api, box, agents.order(1, "aider", env=env)))["success"] is True
        assert agents.processes(api, box) == "sleep 999\n"
        assert len(groups_of_runs(server, box)) == 1
        api.output(box, "pkill sleep")
        wrapped(api, box, "aider", "echo done")
        for _ in range(50):
            assert agents.end_of(agents.all_events(api, box, agents.order(1, "aider", env=env)))["success"] is True
        assert groups_of_runs(server, box) == []


def test_a_paused_run_that_hides_dies_when_it_goes_on(api, server):
    with api.box() as box:
        env = wrapped(api, box, "aider", HIDING + "echo begun; exec sleep 1000")
        with agents.run(api, box, agents.order(1, "aider", env=env)) as stream:
            first_of(stream, "output")
            answer(api.http.post(f"/api/sandboxes/{box}/pause"))
            cancel(api, box)
            assert list(stream)[-1]["exitCode"] == 130
        answer(api.http.post(f"/api/sandboxes/{box}/resume"))
        wait_until(lambda: agents.processes(api, box) == "", "nothing of it is left")
        wait_until(lambda: groups_of_runs(server, box) == [], "nor its group")


def test_a_server_killed_as_soon_as_an_agent_runs_leaves_nothing_of_it(sandyd):
    server = sandyd()
    with Service(server.base_url, server.api_key) as own:
        box = own.create(ttl_seconds=600)["sandboxId"]
        env = wrapped(own, box, "aider", HIDING + "exec sleep 1000")
    for round in range(4):
        with Service(server.base_url, server.api_key) as own, concurrent.futures.ThreadPoolExecutor() as pool:
            reading = pool.submit(agents.all_events, own, box, agents.order(1, "aider", env=env))
            # Before the server can know and write down which process it is, and after.
            wait_until(lambda: any((group / "cgroup.procs").read_text() for group in groups_of_runs(server, box)), "it runs")
            if round % 2:
                wait_until(lambda: "hidden 1003" in agents.processes(own, box), "all of it runs")
            server.kill()
            with pytest.raises(httpx.HTTPError):
                reading.result()
        server.start()
        with Service(server.base_url, server.api_key) as own:
            ended = wait_until(lambda: (now := status(own, box))["running"] is False and now, "the run is ended")
            assert (ended["status"], ended["exitCode"]) == ("cancelled", 130) and "server ended" in ended["error"]
            assert agents.processes(own, box) == "" and groups_of_runs(server, box) == []


def test_files_are_told_where_they_are_in_the_end(api):
    with api.box() as box:
        env = wrapped(api, box, "aider", "mkdir -p /srv/app/src && echo 1 > /srv/app/src/in.txt && mv /srv/app . && "
                                         "mkdir -p draft/deep && echo 2 > draft/deep/file.txt && mv draft final && "
                                         "mkdir slow && echo 3 > slow/a.txt && sleep 2 && mv slow done && echo 4 > done/b.txt; echo end")
        events = agents.all_events(api, box, agents.order(1, "aider", env=env))
    told = {file["path"]: file["content"] for each in events if each["type"] == "files-update" for file in each["files"]}
    expected = {"app/src/in.txt": "1\n", "final/deep/file.txt": "2\n", "done/a.txt": "3\n", "done/b.txt": "4\n"}
    assert {path: told.get(path) for path in expected} == expected


def test_a_server_that_stops_ends_its_runs_and_their_streams_in_order(sandyd):
    server = sandyd("--shutdown-grace", "60s")
    with Service(server.base_url, server.api_key) as own:
        box = own.create(ttl_seconds=600)["sandboxId"]
        env = wrapped(own, box, "aider", "echo begun; exec sleep 1000")
        with agents.run(own, box, agents.order(1, "aider", env=env)) as stream:
            first_of(stream, "output")
            server.process.send_signal(signal.SIGTERM)
            *_, error, end = stream
    assert "server stops" in error["error"]
    assert (end["type"], end["exitCode"], end["cancelled"]) == ("complete", 130, True)
    assert server.process.wait(30) == 0  # long before its grace is over
    server.start()
    with Service(server.base_url, server.api_key) as own:
        assert "sleep 1000" not in agents.processes(own, box)
        assert status(own, box)["status"] == "cancelled"


def test_two_hundred_runs_at_a_time_each_have_their_own_stream(sandyd):
    server = sandyd("--create-wait", "60s")
    count = 200
    all_there = threading.Barrier(count, timeout=120)

    def one(_) -> tuple:
        with Service(server.base_url, server.api_key) as own, own.box(resources={"memory": "64m", "cpu": 0.1}) as box:
            env = wrapped(own, box, "aider", 'for i in 1 2 3 4 5; do echo "$SANDY_SANDBOX_ID $i"; sleep 0.5; done')
            all_there.wait()
            return box, agents.all_events(own, box, agents.order(1, "aider", env=env))

    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        for box, events in pool.map(one, range(count)):
            assert agents.end_of(events)["success"] is True
            assert [each["text"] for each in events if each["type"] == "output"] == [f"{box} {i}" for i in range(1, 6)]


def test_a_reader_that_stops_reading_costs_no_memory_and_is_told_what_it_missed(api, server):
    with api.box() as box:
        env = wrapped(api, box, "aider", "seq -f '%099.0f' 1 400000")  # 40 MB, of which the sandbox keeps eight
        before = resident_bytes(server)
        with agents.run(api, box, agents.order(1, "aider", env=env)) as stream:
            events = [next(stream)]
            wait_until(lambda: "seq -f" not in agents.processes(api, box), "the agent wrote it all", 30)
            assert resident_bytes(server) - before < 32 * 2**20
            events += list(stream)
    assert agents.end_of(events)["exitCode"] == 0
    missed = [each["message"] for each in events if each["type"] == "status" and "lost" in each["message"]]
    lines = [each["text"] for each in events if each["type"] == "output"]
    assert missed and lines[-1] == f"{400000:099d}"
    assert [len(line) for line in lines].count(99) > 70000


@pytest.mark.parametrize("agent", ["claude-code", "codex"])
def test_an_agent_reaches_the_model_that_the_installation_relays_to(sandyd, model_outside, agent):
    port, log = model_outside
    server = sandyd("--agent-relay", f"127.0.0.1:{port}", "--agent-api-key", "sk-of-the-installation")
    with Service(server.base_url, server.api_key) as api, api.box(image="agent-ready") as box:
        body = {"agent": agent, "model": agents.MODEL, "prompt": "Write the file result.txt.", "maxDuration": 60}
        assert agents.end_of(agents.all_events(api, box, body))["success"] is True
        assert api.output(box, "cat result.txt") == "written by an agent\n"
        asked = [json.loads(line) for line in log.read_text().splitlines()]
        assert any(each["model"].endswith(agents.MODEL) for each in asked)
        # That one address is all: no other port of the machine, and no other machine.
        own = server.base_url.rpartition(":")[2]
        for url, why in ((f"http://127.0.0.1:{own}/", 7), (f"http://127.0.0.1:{port}/", 7), ("http://192.0.2.1/", 22)):
            assert api.exec(box, f"curl -sf -m 3 {url}")["exitCode"] == why  # 7: nobody listens, 22: refused by the policy


@pytest.fixture
def model_outside(tmp_path):
    """A stand-in model on the machine itself: its port, and its log."""
    log = tmp_path / "model.log"
    program = Path(agents.__file__).parent / "model_server.py"
    with subprocess.Popen([sys.executable, program, "--log", log], stdout=subprocess.PIPE, text=True) as process:
        yield int(process.stdout.readline()), log
        process.terminate()


def test_a_relay_that_is_no_address_is_refused_at_the_start(sandyd):
    for wrong in ("localhost", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:99999", "[::1"):
        with pytest.raises(NotStarted, match="agent_relay"):
            sandyd("--agent-relay", wrong)
