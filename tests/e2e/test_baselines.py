"""The baseline images: each program where it runs, in a sandbox of its image, with a stand-in platform."""

import contextlib
import json
import threading

import httpx
import pytest
from leftovers import leftovers
from platform_server import Platform
from running_server import Server
from service import Service, answer
from waiting import wait_until

PROGRAMS = ["baseline-agent-cli", "baseline-langchain"]
QUESTION = {"messages": [{"role": "user", "content": "Write the file."}]}


@pytest.fixture(scope="module")
def platform():
    made = Platform("--file", "artifacts/result.txt")
    yield made
    made.end()


@pytest.fixture(scope="module")
def service(platform, tmp_path_factory):
    place = tmp_path_factory.mktemp("s")
    (place / "sandy.toml").write_text('[image_aliases]\n"baseline-cli-agent" = "baseline-agent-cli"\n')
    arguments = ("--config", place / "sandy.toml", "--platform-relay", platform.address, "--child-max-per-hour", 100)
    running = Server(place / "data", arguments).start()
    with Service(running.base_url, running.api_key) as made:
        yield made
    assert running.stop() == 0
    assert leftovers(running) == []


class Program:
    def __init__(self, service: Service, box: str, name: str):
        self.service, self.box, self.name = service, box, name
        self.at = f"/api/sandboxes/{box}/proxy/8080"

    def get(self, path: str):
        return self.service.http.get(self.at + path)

    def ask(self, headers=None, **fields) -> httpx.Response:
        body = {"model": "stand-in", **QUESTION, **fields}
        return self.service.http.post(f"{self.at}/v1/chat/completions", json=body, headers=headers, timeout=120)

    def stream(self, headers=None, **fields) -> list:
        """The chunks of an answer; its comments are None."""
        with self.streaming(headers, **fields) as response:
            assert response.headers["Content-Type"].startswith("text/event-stream")
            return chunks_of(response.read().decode())

    def streaming(self, headers=None, **fields):
        body = {"model": "stand-in", **QUESTION, "stream": True, **fields}
        return self.service.http.stream("POST", f"{self.at}/v1/chat/completions", json=body, headers=headers, timeout=120)

    def children(self) -> list:
        return [each for each in answer(self.service.http.get("/api/sandboxes"))["sandboxes"] if each["parent_sandbox_id"] == self.box]


def chunks_of(text: str) -> list:
    blocks = text.strip().split("\n\n")
    assert blocks[-1] == "data: [DONE]" and blocks.count("data: [DONE]") == 1
    chunks = [None if block.startswith(":") else json.loads(block.removeprefix("data: ")) for block in blocks[:-1]]
    assert all("usage" not in each or each["usage"] for each in chunks if each)
    return chunks


def deltas_of(chunks: list) -> list:
    return [each["choices"][0]["delta"] for each in chunks if each and each["choices"]]


def said(chunks: list, what: str) -> str:
    return "".join(each.get(what) or "" for each in deltas_of(chunks))


def events(chunks: list) -> dict:
    return {each["janus"]["event"]: each["janus"]["payload"] for each in deltas_of(chunks) if "janus" in each}


@contextlib.contextmanager
def started(service: Service, name: str, **env):
    resources = {"memory_mb": 512, "disk_gb": 1}
    given = {"JANUS_PLATFORM_URL": "http://platform-proxy:8000", "JANUS_LLM_API_KEY": "sk-of-the-container", **env}
    with service.box(image=name, network="platform", resources=resources, expose_ports=[8080], env=given) as box:
        program = Program(service, box, name)
        wait_until(lambda: program.get("/health").status_code == 200, "it is healthy", 30)
        yield program


@pytest.fixture(scope="module")
def agent_cli(service):
    with started(service, "baseline-agent-cli") as program:
        yield program


@pytest.fixture(scope="module")
def langchain(service):
    with started(service, "baseline-langchain") as program:
        yield program


@pytest.fixture(params=PROGRAMS)
def program(request, service):
    return request.getfixturevalue(request.param.removeprefix("baseline-").replace("-", "_"))


def test_a_baseline_says_that_it_is_well_and_what_it_is(program):
    assert answer(program.get("/health")) == {"status": "ok"}
    assert [each["id"] for each in answer(program.get("/v1/models"))["data"]] == [program.name]
    assert program.get("/other").status_code == 404


def test_a_baseline_refuses_what_it_cannot_answer(program):
    for wrong in ({"messages": []}, {"messages": "x"}, {"model": None}, {"messages": [7]}):
        response = program.ask(**wrong)
        assert response.status_code == 422 and response.json()["detail"] == response.json()["error"]["message"]
    url = f"{program.at}/v1/chat/completions"
    for body, status in ((b"{", 400), (b"[" * 100_000, 400), (b"7", 422), (b" " * 11_000_000, 413)):
        assert program.service.http.post(url, content=body).status_code == status
    assert program.service.http.post(f"{program.at}/v1/other", json={}).status_code == 404


def test_an_agent_works_in_a_sandbox_that_ends_with_the_answer(agent_cli, platform):
    chunks = agent_cli.stream(headers={"X-Request-Id": "chatcmpl-of-this-test"})
    assert {each["id"] for each in chunks if each} == {"chatcmpl-of-this-test"}
    assert deltas_of(chunks)[0]["role"] == "assistant"
    assert said(chunks, "content") == "The work is done."
    steps = said(chunks, "reasoning_content")
    assert "I will write the file now." in steps and "Bash" in steps
    told = events(chunks)
    assert list(told) == ["sandbox_start", "artifacts", "sandbox_end"]
    assert told["sandbox_start"]["sandbox_id"] == told["sandbox_end"]["sandbox_id"]
    (artifact,) = told["artifacts"]["items"]
    assert artifact["display_name"] == "result.txt" and artifact["url"].startswith("data:text/plain;base64,")
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["usage"]["sandbox_seconds"] > 0 and chunks[-1]["usage"]["total_tokens"] > 0
    assert agent_cli.children() == []
    assert any("sk-of-the-container" in (key or "") for _, key in platform.asked)


def test_the_caller_chooses_the_agent(agent_cli):
    made = answer(agent_cli.ask(headers={"X-Baseline-Agent": "codex"}))
    assert made["object"] == "chat.completion" and made["choices"][0]["finish_reason"] == "stop"
    message = made["choices"][0]["message"]
    assert message["content"] == "The work is done." and message["reasoning_content"]
    assert [each["display_name"] for each in message["artifacts"]] == ["result.txt"]
    assert made["usage"]["sandbox_seconds"] > 0
    assert agent_cli.children() == []


def test_an_agent_that_does_not_exist_or_whose_model_fails_is_told(agent_cli):
    assert agent_cli.ask(headers={"X-Baseline-Agent": "nobody"}).status_code == 502
    assert "failed" in agent_cli.ask(model="stand-in-401").json()["detail"]
    chunks = agent_cli.stream(model="stand-in-401")
    assert "Error: The agent failed" in said(chunks, "content") and "sandbox_end" in events(chunks)
    assert agent_cli.children() == []


def test_a_caller_who_leaves_ends_the_agent_and_its_sandbox(agent_cli):
    with agent_cli.streaming(model="stand-in-forever") as response:
        lines = response.iter_lines()
        while "sandbox_start" not in next(lines):
            pass
        assert len(agent_cli.children()) == 1
    wait_until(lambda: agent_cli.children() == [], "its sandbox has ended", 30)


def test_silence_is_filled_with_comments(agent_cli):
    with agent_cli.streaming(model="stand-in-hang") as response:
        lines = response.iter_lines()
        while next(lines) != ": ping":
            pass


def test_two_are_answered_at_once(program):
    outcomes = []

    def ask():
        with Service(program.service.http.base_url, program.service.http.headers["Authorization"].removeprefix("Bearer ")) as service:
            outcomes.append(Program(service, program.box, program.name).ask().status_code)

    clients = [threading.Thread(target=ask) for _ in range(2)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    assert outcomes == [200, 200]


def test_an_agent_does_not_get_the_token_of_the_sandbox_that_made_its_own(service, platform):
    with service.box(network="platform", resources={"memory_mb": 1024, "disk_gb": 1}) as box:
        at = f"/api/sandboxes/{box}/container"
        made = answer(service.http.post(f"{at}/run", json={"image": "baseline-cli-agent"}, timeout=90))  # no llm_api_key
        token = service.output(box, "echo -n $SANDY_API_KEY")
        platform.asked.clear()
        whole = answer(service.http.post(f"{at}/{made['id']}/chat", json={"model": "stand-in", **QUESTION}, timeout=120))
        assert whole["choices"][0]["message"]["content"] == "The work is done."
        keys = {(key or "").removeprefix("Bearer ") for _, key in platform.asked}
        assert token and keys == {"none"}


def test_a_program_that_is_told_to_end_ends_its_agents_sandboxes(service):
    with started(service, "baseline-agent-cli") as program, program.streaming(model="stand-in-forever") as response:
        lines = response.iter_lines()
        while "sandbox_start" not in next(lines):
            pass
        containers = f"/api/sandboxes/{program.box}/container"
        made = answer(service.http.get(containers))["containers"][0]
        assert answer(service.http.post(f"{containers}/{made['id']}/stop", json={"grace": 30}))["status"] == "exited"
        wait_until(lambda: program.children() == [], "its sandbox has ended", 30)


def test_langchain_uses_a_tool_and_says_what_it_did(langchain, platform):
    chunks = langchain.stream(stream_options={"include_usage": True})
    assert said(chunks, "content").endswith("The work is done.")
    steps = said(chunks, "reasoning_content")
    assert steps.startswith("run_code: ") and "forty-two" in steps
    assert list(events(chunks)) == ["tool_start", "tool_end"]
    assert chunks[-1]["usage"]["total_tokens"] > 0 and chunks[-1]["choices"] == []
    assert ("/sandbox/exec", "Bearer sk-of-the-container") in platform.asked


def test_langchain_answers_at_once(langchain):
    message = answer(langchain.ask())["choices"][0]["message"]
    assert message["content"].endswith("The work is done.") and "forty-two" in message["reasoning_content"]


def test_langchain_tells_what_its_model_fails_with(langchain):
    assert langchain.ask(model="stand-in-500").status_code == 502
    assert langchain.ask(model="stand-in-cut").status_code == 502
    assert "Error:" in said(langchain.stream(model="stand-in-cut"), "content")


@pytest.mark.parametrize("image, steps", [("baseline-cli-agent", "I will write the file now."), ("baseline-langchain", "forty-two")])
def test_a_container_of_a_baseline_answers_chats(service, platform, image, steps):
    with service.box(network="platform", resources={"memory_mb": 1024, "disk_gb": 1}) as box:
        at = f"/api/sandboxes/{box}/container"
        made = answer(service.http.post(f"{at}/run", json={"image": image, "llm_api_key": "sk-of-a-container"}, timeout=90))
        assert made["health"] == "healthy"
        body = {"model": "stand-in", **QUESTION}
        whole = answer(service.http.post(f"{at}/{made['id']}/chat", json=body, timeout=120))
        message = whole["choices"][0]["message"]
        assert message["content"].endswith("The work is done.") and steps in message["reasoning_content"]
        streamed = service.http.post(f"{at}/{made['id']}/chat", json={**body, "stream": True}, timeout=120)
        assert streamed.headers["Content-Type"].startswith("text/event-stream")
        chunks = chunks_of(streamed.text)
        assert said(chunks, "content").endswith("The work is done.") and steps in said(chunks, "reasoning_content")
        assert any("sk-of-a-container" in (key or "") for _, key in platform.asked)
