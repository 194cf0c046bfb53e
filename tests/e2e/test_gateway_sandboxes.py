"""Models that the gateway answers out of sandboxes of its own: warm containers, and an agent."""

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from waiting import wait_until

HERE = Path(__file__).parent
CONTAINER = (HERE / "model_container.py").read_text()


def client_of(running):
    return httpx.Client(base_url=running.base_url, headers={"Authorization": f"Bearer {running.api_key}"}, timeout=120)


def config(tmp_path, text):
    path = tmp_path / "models.toml"
    path.write_text(text)
    return path


def containers(more=""):
    command = json.dumps(["python3", "-c", CONTAINER])
    return f'[[models]]\nid = "mine"\ncontainers = {{ image = "basic", command = {command}, {more} }}\n'


def chat(client, words, model="mine", **more):
    return client.post("/v1/chat/completions", json={"model": model, "messages": [{"role": "user", "content": words}], **more})


def text_of(response):
    """The content of a stream."""
    deltas = [each["choices"][0]["delta"] for each in chunks_of(response) if each["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


def chunks_of(response):
    assert response.status_code == 200 and response.text.endswith("data: [DONE]\n\n"), response.text
    lines = [line for line in response.text.split("\n\n") if line.startswith("data: {")]
    return [json.loads(line[len("data: "):]) for line in lines]


def metric(client, name):
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


@pytest.fixture
def warm(sandyd, tmp_path):
    """A server with a warm container of its model."""
    # Containers of models outlive the server, but not this one.
    running = sandyd("--config", config(tmp_path, containers("warm = 1, most = 2, at_once = 1")), "--end-sandboxes")
    with client_of(running) as client:
        client.running = running
        yield client


def idle(client):
    return metric(client, 'sandy_model_containers{model="mine",state="idle"}')


def test_a_chat_is_answered_by_a_warm_container(warm):
    wait_until(lambda: idle(warm) == 1, "a container is warm", 60)
    whole = chat(warm, "hello there").json()
    assert whole["choices"][0]["message"]["content"] == "hello there"
    assert whole["env"]["JANUS_PLATFORM_URL"] and "authorization" not in whole["headers"]
    assert text_of(chat(warm, "one two", stream=True)) == "onetwo"
    assert [each["id"] for each in warm.get("/v1/models").json()["data"]] == ["mine"]


def test_a_chat_that_comes_early_waits_for_the_first_container(warm):
    assert chat(warm, "early").json()["choices"][0]["message"]["content"] == "early"


def test_a_container_that_dies_in_mid_stream_is_told_and_replaced(warm):
    wait_until(lambda: idle(warm) == 1, "a container is warm", 60)
    before = boxes_of(warm)
    text = chat(warm, "die", stream=True).text
    assert "begin" in text and text.endswith("data: [DONE]\n\n")
    response = chat(warm, "again")
    assert response.status_code == 200, (response.text, text)
    assert response.json()["choices"][0]["message"]["content"] == "again"
    wait_until(lambda: before.isdisjoint(boxes_of(warm)), "it is replaced", 60)


def test_a_container_that_says_why_it_fails_is_kept(warm):
    wait_until(lambda: idle(warm) == 1, "a container is warm", 60)
    before = boxes_of(warm)
    failed = chat(warm, "fail")
    assert failed.status_code == 502 and "no idea" in failed.json()["detail"]
    assert chat(warm, "hello").status_code == 200 and boxes_of(warm) == before


def boxes_of(client):
    """The sandboxes there are, as their control groups tell: they are the gateway's, no caller of ours lists them."""
    trees = [Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")]
    parents = [tree / client.running.cgroup_parent.lstrip("/") for tree in trees]
    return {path.name for parent in parents if parent.is_dir() for path in parent.iterdir() if path.is_dir()}


def test_warm_containers_outlive_the_server(warm):
    wait_until(lambda: idle(warm) == 1, "a container is warm", 60)
    before = boxes_of(warm)
    warm.running.kill()
    warm.running.start()
    with client_of(warm.running) as client:
        client.running = warm.running
        assert chat(client, "still there").json()["choices"][0]["message"]["content"] == "still there"
        assert boxes_of(client) == before


def test_a_model_whose_containers_cannot_be_made_says_why(sandyd, tmp_path):
    running = sandyd("--config", config(tmp_path, '[[models]]\nid = "mine"\ncontainers = { image = "no-such-image", warm = 1 }\n'))
    with client_of(running) as client:
        refused = chat(client, "hello")
        assert refused.status_code == 502 and "image" in refused.json()["detail"]


@pytest.fixture
def agent(sandyd, tmp_path):
    """A server whose model is an agent in a sandbox, which asks a stand-in model outside."""
    command = [sys.executable, HERE / "model_server.py", "--file", "artifacts/result.txt", "--key", "sk-of-the-model"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as model:
        try:
            port = int(model.stdout.readline())
            text = ('[[models]]\nid = "baseline-agent-cli"\napi_key = "sk-of-the-model"\n'
                    'agent = { agent = "claude-code", model = "some-lab/stand-in", base_url = "http://127.0.0.1:7331" }\n'
                    '[flavors.agent-ready]\nimage = "agent-ready"\n')
            running = sandyd("--config", config(tmp_path, text), "--agent-relay", f"127.0.0.1:{port}", "--end-sandboxes")
            with client_of(running) as client:
                client.running = running
                yield client
        finally:
            model.kill()


def test_an_agent_answers_a_chat_and_its_work_is_shown(agent):
    response = chat(agent, "Write the file.", "baseline-agent-cli", stream=True)
    chunks = chunks_of(response)
    assert {each["id"] for each in chunks} == {response.headers["X-Request-Id"]}
    deltas = [each["choices"][0]["delta"] for each in chunks if each["choices"]]
    events = [delta["janus"]["event"] for delta in deltas if "janus" in delta]
    assert events == ["sandbox_start", "tool_start", "tool_end", "artifacts", "sandbox_end"]
    assert "I will write the file now." in "".join(delta.get("reasoning_content", "") for delta in deltas)
    assert text_of(response) == "The work is done."
    assert chunks[-1]["choices"] == [] and chunks[-1]["usage"]["sandbox_seconds"] > 0
    assert [each["choices"][0]["finish_reason"] for each in chunks if each["choices"]][-1] == "stop"
    (made,) = next(delta["janus"]["payload"]["items"] for delta in deltas if delta.get("janus", {}).get("event") == "artifacts")
    assert made["display_name"] == "result.txt"
    assert agent.get(made["url"]).text == "written by an agent\n"
    wait_until(lambda: agent.get("/api/sandboxes").json()["sandboxes"] == [], "its sandbox is gone", 30)


def test_an_agents_answer_can_be_had_as_a_whole(agent):
    body = chat(agent, "Write the file.", "baseline-agent-cli").json()
    message = body["choices"][0]["message"]
    assert message["content"] == "The work is done." and "I will write" in message["reasoning_content"]
    assert message["artifacts"][0]["display_name"] == "result.txt" and body["usage"]["sandbox_seconds"] > 0


def test_an_agent_that_fails_says_why(agent):
    body = chat(agent, "Write the file.", "baseline-agent-cli", stream=True)
    assert "The agent failed" not in text_of(body)
    refused = agent.post("/v1/chat/completions", headers={"X-Baseline-Agent": "no-such-agent"},
                         json={"model": "baseline-agent-cli", "messages": [{"role": "user", "content": "hi"}]})
    assert refused.status_code == 400 and "no-such-agent" in refused.json()["detail"]
    wait_until(lambda: agent.get("/api/sandboxes").json()["sandboxes"] == [], "nothing is left", 30)


def test_the_sandbox_of_an_agent_goes_with_its_client(agent):
    with agent.stream("POST", "/v1/chat/completions", json={"model": "baseline-agent-cli", "stream": True,
                                                            "messages": [{"role": "user", "content": "hi"}]}) as stream:
        next(stream.iter_raw())
    wait_until(lambda: agent.get("/api/sandboxes").json()["sandboxes"] == [], "its sandbox is gone", 30)
