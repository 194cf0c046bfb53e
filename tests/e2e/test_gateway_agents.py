"""Clients of Responses and Messages at the gateway, whose model speaks chat completions: their libraries, and agents."""

import json
import subprocess
import sys
from pathlib import Path

import agents
import anthropic
import httpx
import openai
import pytest
from leftovers import leftovers
from running_server import Server
from telling_model import call, chunk, telling_model
from service import Service

LOOK = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
MESSAGES_TOOLS = [{"name": "look", "description": "Looks.", "input_schema": LOOK}]
RESPONSES_TOOLS = [{"type": "function", "name": "look", "description": "Looks.", "parameters": LOOK, "strict": False}]
HI = [{"role": "user", "content": "Hi"}]


@pytest.fixture(scope="module")
def model():
    with telling_model() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, model):
    """A gateway in front of the scripted model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COMPETITOR_URL", model.url)
        running = Server(tmp_path_factory.mktemp("gateway") / "data").start()
    yield running
    assert running.stop() == 0 and leftovers(running) == []


@pytest.fixture(autouse=True)
def fresh(request):
    if "model" in request.fixturenames:
        model = request.getfixturevalue("model")
        model.status, model.chunks, model.whole = 200, [], {}
        model.asked.clear()


@pytest.fixture
def claude(gateway):
    with anthropic.Anthropic(base_url=gateway.base_url, api_key=gateway.api_key, max_retries=0) as client:
        yield client


@pytest.fixture
def gpt(gateway):
    with openai.OpenAI(base_url=f"{gateway.base_url}/v1", api_key=gateway.api_key, max_retries=0) as client:
        yield client


def work(model) -> None:
    """The model thinks, says a sentence, and calls two tools."""
    model.says(chunk({"role": "assistant", "content": ""}), chunk({"reasoning_content": "Let me "}), chunk({"reasoning_content": "think."}),
               chunk({"content": "I will "}), chunk({"content": "look."}),
               call(0, "", id="call_a", name="look"), call(0, '{"path":'), call(0, '"a.txt"}'),
               call(1, '{"path":"b.txt"}', id="call_b", name="look"), finish="tool_calls")


def test_messages_answers_whole(claude, model):
    model.answers({"content": "Hello."})
    said = claude.messages.create(model="some-model", max_tokens=50, system="Be brief.", messages=HI, stop_sequences=["END"])
    assert [block.text for block in said.content] == ["Hello."]
    assert (said.model, said.role, said.stop_reason) == ("some-model", "assistant", "end_turn")
    assert (said.usage.input_tokens, said.usage.cache_read_input_tokens, said.usage.output_tokens) == (40, 60, 20)
    asked = model.asked[0]
    assert asked["messages"] == [{"role": "system", "content": "Be brief."}, *HI]
    assert (asked["model"], asked["max_tokens"], asked["stop"]) == ("some-model", 50, ["END"])


def test_messages_streams_text_thoughts_and_tools(claude, model):
    work(model)
    with claude.messages.stream(model="m", max_tokens=50, messages=HI, tools=MESSAGES_TOOLS,
                                thinking={"type": "enabled", "budget_tokens": 1024}) as stream:
        kinds = [event.type for event in stream]
        said = stream.get_final_message()
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop"
    assert [block.type for block in said.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert (said.content[0].thinking, said.content[1].text) == ("Let me think.", "I will look.")
    assert [(block.id, block.name, block.input) for block in said.content[2:]] == [
        ("call_a", "look", {"path": "a.txt"}), ("call_b", "look", {"path": "b.txt"})]
    assert said.stop_reason == "tool_use" and said.usage.output_tokens == 20
    assert model.asked[0]["tools"][0]["function"]["parameters"] == LOOK

    # What the tools returned goes back, with what was said and called before it.
    model.says(chunk({"content": "Done."}))
    results = [{"type": "tool_result", "tool_use_id": block.id, "content": f"content of {block.input['path']}"} for block in said.content[2:]]
    talk = [*HI, {"role": "assistant", "content": [block.model_dump() for block in said.content]}, {"role": "user", "content": results}]
    with claude.messages.stream(model="m", max_tokens=50, messages=talk, tools=MESSAGES_TOOLS) as stream:
        assert stream.get_final_text() == "Done."
    _, assistant, first, second = model.asked[1]["messages"]
    assert assistant["content"] == "I will look." and [each["id"] for each in assistant["tool_calls"]] == ["call_a", "call_b"]
    assert (first["role"], first["tool_call_id"], first["content"]) == ("tool", "call_a", "content of a.txt")
    assert (second["role"], second["tool_call_id"]) == ("tool", "call_b")


def test_responses_answers_whole(gpt, model):
    model.answers({"content": "Hello.", "reasoning_content": "Hm."})
    said = gpt.responses.create(model="some-model", instructions="Be brief.", input="Hi", max_output_tokens=50, reasoning={"summary": "auto"})
    assert said.output_text == "Hello." and said.status == "completed"
    assert [item.type for item in said.output] == ["reasoning", "message"]
    assert (said.model, said.instructions) == ("some-model", "Be brief.")
    assert (said.usage.input_tokens, said.usage.input_tokens_details.cached_tokens, said.usage.output_tokens) == (100, 60, 20)
    assert model.asked[0]["messages"] == [{"role": "system", "content": "Be brief."}, *HI]
    assert model.asked[0]["max_tokens"] == 50


def test_responses_streams_text_thoughts_and_tools(gpt, model):
    work(model)
    with gpt.responses.stream(model="m", input="Hi", tools=RESPONSES_TOOLS, reasoning={"summary": "auto"}) as stream:
        events = list(stream)
        said = stream.get_final_response()
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == "I will look."
    assert "".join(event.delta for event in events if event.type == "response.reasoning_summary_text.delta") == "Let me think."
    calls = [item for item in said.output if item.type == "function_call"]
    assert [(item.call_id, item.name, json.loads(item.arguments)) for item in calls] == [
        ("call_a", "look", {"path": "a.txt"}), ("call_b", "look", {"path": "b.txt"})]

    model.says(chunk({"content": "Done."}))
    outputs = [{"type": "function_call_output", "call_id": item.call_id, "output": "content"} for item in calls]
    talk = [*HI, *(item.model_dump(exclude={"parsed_arguments"}, exclude_none=True) for item in said.output), *outputs]
    events = list(gpt.responses.create(model="m", input=talk, tools=RESPONSES_TOOLS, stream=True))
    assert events[-1].response.output[0].content[0].text == "Done."
    assert [each["role"] for each in model.asked[1]["messages"]] == ["user", "assistant", "tool", "tool"]


def test_answers_that_were_cut_say_so(claude, gpt, model):
    model.answers({"content": "Hel"}, finish="length")
    assert claude.messages.create(model="m", max_tokens=1, messages=HI).stop_reason == "max_tokens"
    said = gpt.responses.create(model="m", input="Hi", max_output_tokens=1)
    assert (said.status, said.incomplete_details.reason) == ("incomplete", "max_output_tokens")


def test_a_model_that_refuses_is_an_error_in_both_dialects(claude, gpt, model):
    model.status, model.whole = 400, {"error": {"message": "Too long."}}
    for stream in (False, True):
        with pytest.raises(anthropic.APIStatusError) as refused:
            claude.messages.create(model="m", max_tokens=5, messages=HI, stream=stream)
        assert refused.value.body["type"] == "error" and "Too long." in refused.value.body["error"]["message"]
        assert "Too long." in refused.value.body["detail"]
        with pytest.raises(openai.APIStatusError, match="Too long."):
            gpt.responses.create(model="m", input="Hi", stream=stream)


def test_a_model_that_breaks_off_is_told_as_a_failure(claude, gpt, model):
    model.chunks = [chunk({"content": "Hel"}), None]
    with pytest.raises(anthropic.APIStatusError, match="api_error"):
        with claude.messages.stream(model="m", max_tokens=5, messages=HI) as stream:
            stream.get_final_message()
    events = list(gpt.responses.create(model="m", input="Hi", stream=True))
    assert events[-1].type == "response.failed"
    assert events[-1].response.status == "failed" and events[-1].response.error.code == "server_error"


def test_a_model_that_streams_garbage_is_told_as_a_failure(claude, gpt, model):
    model.chunks = [chunk({"content": "Hel"}), "garbage"]
    with pytest.raises(anthropic.APIStatusError, match="api_error"):
        with claude.messages.stream(model="m", max_tokens=5, messages=HI) as stream:
            stream.get_final_message()
    assert list(gpt.responses.create(model="m", input="Hi", stream=True))[-1].type == "response.failed"


def test_mistakes_are_refused_by_name_before_the_model_is_asked(claude, gpt, model):
    with pytest.raises(anthropic.BadRequestError, match=r"messages\[0\]\.content\[0\]\.type"):
        claude.messages.create(model="m", max_tokens=5, messages=[{"role": "user", "content": [{"type": "song"}]}])
    with pytest.raises(openai.BadRequestError, match="previous_response_id"):
        gpt.responses.create(model="m", input="Hi", previous_response_id="resp_1")
    with pytest.raises(openai.BadRequestError, match="temperature"):
        gpt.responses.create(model="m", input="Hi", temperature=7)
    assert model.asked == []


def test_nobody_counts_tokens(claude):
    """404 is what clients do without; after 501, Claude Code asks the model itself, with all of the text."""
    with pytest.raises(anthropic.NotFoundError):
        claude.messages.count_tokens(model="m", messages=HI)


def test_a_wrong_key_is_refused(gateway):
    with pytest.raises(anthropic.AuthenticationError):
        anthropic.Anthropic(base_url=gateway.base_url, api_key="sk-wrong", max_retries=0).messages.create(model="m", max_tokens=5, messages=HI)
    # The header of Anthropic's clients counts for the gateway alone.
    assert httpx.get(f"{gateway.base_url}/api/sandboxes", headers={"x-api-key": gateway.api_key}).status_code == 401


@pytest.fixture
def stand_in(tmp_path):
    """A stand-in model that agents understand: its port, and its log."""
    log = tmp_path / "model.log"
    program = Path(agents.__file__).parent / "model_server.py"
    with subprocess.Popen([sys.executable, program, "--log", log], stdout=subprocess.PIPE, text=True) as process:
        yield int(process.stdout.readline()), log
        process.terminate()


@pytest.mark.parametrize("agent", ["claude-code", "codex"])
def test_an_agent_works_at_the_gateway(sandyd, stand_in, monkeypatch, agent):
    port, log = stand_in
    monkeypatch.setenv("COMPETITOR_URL", f"http://127.0.0.1:{port}")
    gateway = sandyd()
    address = gateway.base_url.removeprefix("http://")
    server = sandyd("--agent-relay", address, "--agent-api-key", gateway.api_key)
    with Service(server.base_url, server.api_key) as api, api.box(image="agent-ready") as box:
        body = {"agent": agent, "model": agents.MODEL, "prompt": "Write the file result.txt.", "maxDuration": 60}
        events = agents.all_events(api, box, body)
        assert agents.end_of(events)["success"] is True, events
        assert api.output(box, "cat result.txt") == "written by an agent\n"
        assert agents.steps(events) == [
            "init", "text: I will write the file now.", "tool_use", "tool_result", "text: The work is done.", "result: success"]
    asked = [json.loads(line) for line in log.read_text().splitlines()]
    assert {each["path"] for each in asked if each["method"] == "POST"} == {"/v1/chat/completions"}
    assert all(each["stream"] for each in asked if each["method"] == "POST")
