"""OpenAI's own libraries, for Python and for Node, unmodified, through the gateway to a stand-in model."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import openai
import pytest

TESTS = Path(__file__).resolve().parents[1]
# Where script/test has installed what tests/node/package.json names.
NODE = TESTS.parent / "build" / "node"
MESSAGES = [{"role": "user", "content": "Say something."}]
TOOLS = [{"type": "function", "function": {"name": "bash", "parameters": {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}}}]
SAID = "A short answer in words."


@pytest.fixture
def gateway(sandyd, tmp_path):
    """A server in front of the stand-in; gives its base URL and its key."""
    model = subprocess.Popen([sys.executable, TESTS / "e2e" / "model_server.py", "--key", "sk-of-the-model"], stdout=subprocess.PIPE, text=True)
    try:
        (tmp_path / "key").write_text("sk-of-the-model\n")
        url = f"http://127.0.0.1:{int(model.stdout.readline())}/v1"
        (tmp_path / "models.toml").write_text(f'[[models]]\nid = "stand-in"\nurl = "{url}"\napi_key_file = "{tmp_path}/key"\n')
        running = sandyd("--config", tmp_path / "models.toml")
        yield f"{running.base_url}/v1", running.api_key
    finally:
        model.terminate()
        model.wait()


@pytest.fixture
def client(gateway):
    with openai.OpenAI(base_url=gateway[0], api_key=gateway[1], max_retries=0) as made:
        yield made


def test_python_chats(client):
    answer = client.chat.completions.create(model="stand-in", messages=MESSAGES)
    assert answer.choices[0].message.content == SAID and answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == 120 and answer.id.startswith("chatcmpl-")
    raw = client.chat.completions.with_raw_response.create(model="stand-in", messages=MESSAGES)
    assert raw.parse().id == raw.headers["x-request-id"]


def test_python_streams(client):
    text, usage, roles = "", None, []
    for chunk in client.chat.completions.create(model="stand-in", messages=MESSAGES, stream=True, stream_options={"include_usage": True}):
        if chunk.choices:
            text += chunk.choices[0].delta.content or ""
            roles += [chunk.choices[0].delta.role] if chunk.choices[0].delta.role else []
        usage = chunk.usage or usage
    assert text == SAID and roles == ["assistant"] and usage.completion_tokens == 20


def test_python_calls_tools(client):
    answer = client.chat.completions.create(model="stand-in", messages=MESSAGES, tools=TOOLS, tool_choice="auto")
    call = answer.choices[0].message.tool_calls[0]
    assert answer.choices[0].finish_reason == "tool_calls" and "command" in json.loads(call.function.arguments)
    told = [*MESSAGES, answer.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "done"}]
    assert client.chat.completions.create(model="stand-in", messages=told, tools=TOOLS).choices[0].message.content == "The work is done."
    with client.chat.completions.stream(model="stand-in", messages=MESSAGES, tools=TOOLS) as stream:
        streamed = stream.get_final_completion()
    assert json.loads(streamed.choices[0].message.tool_calls[0].function.arguments) == json.loads(call.function.arguments)


def test_python_lists_models(client):
    assert [each.id for each in client.models.list()] == ["stand-in"]
    assert client.models.retrieve("stand-in").owned_by == "competitor"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nobody")


def test_python_hears_of_errors(client, gateway):
    def chat(**fields):
        return client.chat.completions.create(**{"model": "stand-in", "messages": MESSAGES, **fields})

    with pytest.raises(openai.UnprocessableEntityError):
        chat(messages=[])
    with pytest.raises(openai.NotFoundError):
        chat(extra_body={"competitor_id": "nobody"})
    with pytest.raises(openai.InternalServerError) as broken:
        chat(model="stand-in-500")
    assert broken.value.status_code == 502
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=gateway[0], api_key="sk-wrong", max_retries=0).models.list()
    # A model that breaks in mid-stream: the stream ends in order, and says so.
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chat(model="stand-in-cut", stream=True) if chunk.choices)
    assert "Connection error: " in text


def test_node_does_all_that(gateway):
    shutil.copy(TESTS / "node" / "chat.js", NODE)  # a module finds libraries beside itself
    done = subprocess.run(["node", "chat.js", *gateway], cwd=NODE, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["whole"] == SAID and said["usage"]["total_tokens"] == 120
    assert said["streamed"]["text"] == SAID and said["streamed"]["usage"]["completion_tokens"] == 20
    assert said["called"]["name"] == "bash" and said["finish"] == "tool_calls"
    assert json.loads(said["toolStream"]["arguments"]) == json.loads(said["called"]["arguments"])
    assert said["models"] == ["stand-in"]
    assert {name: error["status"] for name, error in said["errors"].items()} == {"key": 401, "mistake": 422, "unknown": 404, "broken": 502}
    assert said["errors"]["key"]["kind"] == "AuthenticationError"
