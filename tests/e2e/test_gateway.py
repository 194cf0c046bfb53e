"""The gateway in front of models that answer as they should: what it passes on, and what it makes of it."""

import hashlib
import re
import time

import httpx
import pytest
from scripted_model import ScriptedModel, delta, whole

CHAT = {"model": "small", "messages": [{"role": "user", "content": "hi"}]}


def models_file(tmp_path, *models: str):
    """A configuration with these models."""
    path = tmp_path / "models.toml"
    path.write_text("".join(f"[[models]]\n{each}\n" for each in models))
    return path


@pytest.fixture
def gateway(sandyd, tmp_path):
    """Starts a server with these models: `gateway("id = ...", "--flag", value)`; gives an HTTP client of it."""
    clients = []

    def start(*models, flags=()):
        running = sandyd("--config", models_file(tmp_path, *models), "--gateway-wake-wait", "50ms", *flags)
        client = httpx.Client(base_url=running.base_url, headers={"Authorization": f"Bearer {running.api_key}"}, timeout=60)
        client.running = running
        clients.append(client)
        return client

    yield start
    for client in clients:
        client.close()


def lines_of(response) -> list:
    """The lines of a stream that are not empty, after a look at the empty ones."""
    text = response.text
    assert "\n\n\n" not in text and text.endswith("data: [DONE]\n\n")
    assert text.count("data: [DONE]") == 1
    return [line for line in text.split("\n\n") if line]


def model(server, name="small", more="") -> str:
    return f'id = "{name}"\nurl = "{server.url}"\n{more}'


def test_a_chat_is_passed_on_and_its_answer_comes_back(gateway):
    with ScriptedModel(lambda asked: asked.answer(200, whole("hello", usage=None))) as upstream:
        client = gateway(model(upstream, more='api_key = "sk-theirs"'))
        body = {**CHAT, "temperature": None, "competitor_id": "small", "seed": 7,
                "messages": [{"role": "assistant", "content": None, "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
                             {"role": "user", "content": [{"type": "text", "text": "look"}, {"type": "file", "file": {"name": "a.txt", "mime_type": "text/plain", "content": "words", "size": 5}}]}]}
        response = client.post("/v1/chat/completions", json=body, headers={"X-Request-Id": "mine", "X-Correlation-Id": "c-1", "X-Baseline-Agent": "aider"})
        assert response.status_code == 200
        answer = response.json()
        assert answer["id"] == "mine" and "usage" not in answer
        assert answer["choices"][0]["message"]["content"] == "hello"
        assert response.headers["X-Request-Id"] == "mine" and response.headers["X-Correlation-ID"] == "c-1"
        asked = upstream.asked[0]
        assert asked.path == "/v1/chat/completions"
        assert asked.header("Authorization") == "Bearer sk-theirs"
        assert asked.header("X-Request-Id") == "mine" and asked.header("X-Correlation-ID") == "c-1"
        assert asked.header("X-Upstream-Service") == "gateway" and asked.header("X-Baseline-Agent") == "aider"
        assert client.running.api_key not in asked.head
        sent = asked.json
        assert sent["seed"] == 7 and "temperature" not in sent and "competitor_id" not in sent
        assert "content" not in sent["messages"][0]
        text = sent["messages"][1]["content"][1]["text"]
        assert "a.txt" in text.splitlines()[0] and text.splitlines()[1] == "words" and len(text.splitlines()) == 3

        response = client.post("/v1/chat/completions", json={**CHAT, "debug": True})
        assert re.fullmatch(r"chatcmpl-[0-9a-f]{24}", response.json()["id"])
        assert response.headers["X-Request-Id"] == response.json()["id"]
        assert re.fullmatch(r"corr-[0-9a-f]{16}", response.headers["X-Correlation-ID"])
        assert re.fullmatch(r"debug-[0-9a-f]{16}", response.headers["X-Debug-Request-Id"])
        assert upstream.asked[1].header("X-Debug-Request-Id") == response.headers["X-Debug-Request-Id"]
        assert upstream.connections == 1, "a connection is used again"


def test_a_stream_is_passed_on_line_by_line(gateway):
    def script(asked):
        asked.begin_events()
        asked.chunk("event: noise\nid: 7\ndata: {\"a\":1,\"usage\":null}\n\n: a comment\nda")
        asked.chunk("ta: {\"b\":2}\r\n\r\ndata:{\"c\":3}\n\n")
        asked.chunk("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":7}}\n\ndata: [DONE]\n\n")
        asked.end_events()

    with ScriptedModel(script) as upstream:
        client = gateway(model(upstream))
        for _ in range(2):
            response = client.post("/v1/chat/completions", json={**CHAT, "stream": True})
            assert response.status_code == 200
            assert response.headers["Content-Type"].startswith("text/event-stream") and response.headers["Cache-Control"] == "no-cache"
            assert lines_of(response) == ['data: {"a":1}', ": a comment", 'data: {"b":2}', 'data:{"c":3}',
                                          'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7}}', "data: [DONE]"]
        assert upstream.asked[0].header("Accept") == "text/event-stream"
        assert upstream.connections == 1
        metrics = client.get("/metrics").text
        assert 'sandy_gateway_chats_total{model="small",outcome="answered"} 2' in metrics
        assert 'sandy_gateway_tokens_total{direction="out",model="small"} 14' in metrics or 'sandy_gateway_tokens_total{model="small",direction="out"} 14' in metrics


def test_tokens_come_as_they_are_said_and_silence_is_filled(gateway):
    def script(asked):
        asked.begin_events()
        asked.event(delta("one"))
        time.sleep(4)
        asked.event(delta("two"))
        asked.end_events()  # without [DONE]

    with ScriptedModel(script) as upstream:
        client = gateway(model(upstream))
        seen, last, gaps = [], None, []
        with client.stream("POST", "/v1/chat/completions", json={**CHAT, "stream": True}) as response:
            for line in response.iter_lines():
                now = time.monotonic()
                if line:
                    gaps.append(now - (last or now))
                    last = now
                    seen.append(line)
        assert seen[0].startswith("data: ") and seen[-1] == "data: [DONE]"
        assert [line for line in seen if line.startswith(":")] == [": ping", ": ping"]
        assert max(gaps) < 2, gaps


def test_requests_find_their_model(gateway):
    with ScriptedModel(lambda asked: asked.answer(200, whole("first"))) as first, ScriptedModel(lambda asked: asked.answer(200, whole("second"))) as second:
        client = gateway(model(first, "one", 'aliases = ["uno"]'), model(second, "two", 'owned_by = "janus"\nupstream_name = "theirs"'))

        def said(**fields):
            response = client.post("/v1/chat/completions", json={**CHAT, **fields})
            return response.status_code, response.json()["choices"][0]["message"]["content"] if response.status_code == 200 else response.json()["detail"]

        assert said(model="two") == (200, "second")
        assert second.asked[-1].json["model"] == "theirs"
        assert said(model="two", competitor_id="uno") == (200, "first")
        assert said(model="nobody's") == (200, "first")
        assert first.asked[-1].json["model"] == "nobody's"
        assert said(competitor_id="nobody") == (404, "There is no competitor of that id")
        listed = client.get("/v1/models").json()
        assert listed["object"] == "list" and [(each["id"], each["owned_by"], each["object"]) for each in listed["data"]] == [("one", "competitor", "model"), ("two", "janus", "model")]
        assert client.get("/v1/models/uno").json()["id"] == "one"


def test_mistakes_are_told_one_by_one(gateway):
    with ScriptedModel(lambda asked: asked.answer(200, whole("never"))) as upstream:
        client = gateway(model(upstream), flags=("--max-chat-body", "100Ki"))
        response = client.post("/v1/chat/completions", json={"messages": [{"role": "robot"}], "temperature": 3, "top_p": "x", "max_tokens": 0, "stream": "perhaps"})
        assert response.status_code == 422
        where = {tuple(each["loc"]) for each in response.json()["detail"]}
        assert where == {("body", "model"), ("body", "messages", 0, "role"), ("body", "temperature"), ("body", "top_p"), ("body", "max_tokens"), ("body", "stream")}
        assert all(each["msg"] and each["type"] for each in response.json()["detail"])
        assert client.post("/v1/chat/completions", json={"model": "m", "messages": []}).status_code == 422
        assert client.post("/v1/chat/completions", content=b"{").status_code == 400
        assert client.post("/v1/chat/completions", json={**CHAT, "user": "x" * 200_000}).status_code == 413
        assert httpx.post(f"{client.base_url}/v1/chat/completions", json=CHAT).status_code == 401
        assert upstream.asked == []


def test_before_the_release_a_password_is_needed(gateway):
    with ScriptedModel(lambda asked: asked.answer(200, whole("hello"))) as upstream:
        client = gateway(model(upstream), flags=("--gateway-password", "open sesame"))
        for headers in ({}, {"X-PreReleasePassword": "open says me"}):
            refused = client.post("/v1/chat/completions", json=CHAT, headers=headers)
            assert refused.status_code == 401 and refused.json()["error"] == "PRE_RELEASE_PASSWORD_REQUIRED"
        assert client.post("/v1/chat/completions", json=CHAT, headers={"X-PreReleasePassword": "open sesame"}).status_code == 200
        assert client.options("/v1/chat/completions").status_code == 204


def test_the_same_is_served_on_a_second_address(sandyd, tmp_path):
    with ScriptedModel(lambda asked: asked.answer(200, whole("hello"))) as upstream:
        running = sandyd("--config", models_file(tmp_path, model(upstream)), "--gateway-listen", "127.0.0.1:0")
        port = re.search(r'"gateway_listening".*?"port":(\d+)', running.log.read_text())[1]
        base = f"http://127.0.0.1:{port}"
        assert httpx.get(f"{base}/health").json()["status"] == "ok"
        headers = {"Authorization": f"Bearer {running.api_key}"}
        assert httpx.post(f"{base}/v1/chat/completions", json=CHAT, headers=headers).json()["choices"][0]["message"]["content"] == "hello"


def test_two_models_compete(gateway):
    with ScriptedModel(lambda asked: asked.answer(200, whole("first"))) as first, ScriptedModel(lambda asked: asked.answer(200, whole("second"))) as second:
        client = gateway(model(first, "one"), model(second, "two"))
        duel = client.post("/v1/chat/completions/arena", json={**CHAT, "stream": True}).json()
        assert re.fullmatch(r"arena-[0-9a-f]{16}", duel["prompt_id"])
        said = {duel["response_a"]["content"], duel["response_b"]["content"]}
        assert said == {"first", "second"}
        assert "stream" not in first.asked[0].json
        vote = {"prompt_id": duel["prompt_id"], "winner": "A"}
        assert client.post("/api/arena/vote", json=vote).status_code == 400, "too soon"
        assert client.post("/api/arena/vote", json={**vote, "winner": "C"}).status_code == 422
        assert client.post("/api/arena/vote", json={**vote, "prompt_id": "arena-0"}).status_code == 404
        time.sleep(5.1)  # nobody reads two answers sooner
        counted = client.post("/api/arena/vote", json=vote).json()
        assert counted["status"] == "recorded"
        assert (counted["model_a"] == "one") == (duel["response_a"]["content"] == "first")
        assert client.post("/api/arena/vote", json=vote).status_code == 409


def duels(gateway, scoring_url, count=1):
    """A gateway that passes votes on, and prompts that wait for theirs."""
    one, other = ScriptedModel(lambda asked: asked.answer(200, whole("first"))), ScriptedModel(lambda asked: asked.answer(200, whole("second")))
    with one, other:
        client = gateway(model(one, "one"), model(other, "two"), flags=("--gateway-scoring-url", scoring_url))
        asked = {**CHAT, "messages": [{"role": "user", "content": "  What\nis   it? "}]}
        prompts = [client.post("/v1/chat/completions/arena", json=asked).json()["prompt_id"] for _ in range(count)]
    time.sleep(5.1)  # nobody reads two answers sooner
    return client, prompts


def test_votes_are_passed_on(gateway):
    with ScriptedModel(lambda asked: asked.answer(200, {"status": "recorded"})) as scoring:
        client, prompts = duels(gateway, f"{scoring.url}/scores/", 2)
        counted = client.post("/api/arena/vote", json={"prompt_id": prompts[0], "winner": "tie", "user_id": "ann"}).json()
        assert counted["status"] == "recorded"
        assert client.post("/api/arena/vote", json={"prompt_id": prompts[1], "winner": "both_bad"}).status_code == 200
        told, nameless = scoring.asked
        assert told.head.startswith("POST /scores/api/arena/vote HTTP/1.1\r\n") and told.header("Content-Type") == "application/json"
        assert told.header("Authorization") is None, "the voter's key is nobody else's business"
        assert told.json == {"prompt_id": prompts[0], "winner": "tie", "user_id": "ann", "model_a": counted["model_a"], "model_b": counted["model_b"],
                             "prompt_hash": hashlib.sha256(b"what is it?").hexdigest()}
        assert nameless.json["winner"] == "both_bad" and nameless.json["user_id"] == "127.0.0.1"
        assert client.post("/api/arena/vote", json={"prompt_id": prompts[0], "winner": "A"}).status_code == 409
        assert len(scoring.asked) == 2


def test_a_vote_that_was_not_taken_can_be_cast_again(gateway):
    def script(asked):
        if asked.number == 0:
            return asked.answer(500, {"detail": "the book is full"})
        if asked.number == 1:
            return False
        return asked.answer(200, {})

    with ScriptedModel(script) as scoring:
        client, (prompt,) = duels(gateway, scoring.url)
        vote = {"prompt_id": prompt, "winner": "A"}
        refused = client.post("/api/arena/vote", json=vote)
        assert refused.status_code == 502 and "refused the vote (500)" in refused.json()["detail"]
        lost = client.post("/api/arena/vote", json=vote)
        assert lost.status_code == 502 and "cannot be reached" in lost.json()["detail"]
        assert client.post("/api/arena/vote", json=vote).status_code == 200
        assert client.post("/api/arena/vote", json=vote).status_code == 409


def test_nobody_waits_for_ever_for_a_vote_to_be_taken(gateway):
    with ScriptedModel(lambda asked: asked.until_closed() and False) as hangs:
        client, (prompt,) = duels(gateway, hangs.url)
        started = time.monotonic()
        refused = client.post("/api/arena/vote", json={"prompt_id": prompt, "winner": "A"})
        assert refused.status_code == 502 and 5 < time.monotonic() - started < 15


def test_sandboxes_do_not_chat_past_their_budgets(gateway):
    with ScriptedModel(lambda asked: asked.answer(200, whole("hello"))) as upstream:
        client = gateway(model(upstream))
        box = client.post("/api/sandboxes", json={}).json()["id"]
        command = "python3 -c 'import os, urllib.request as r; r.urlopen(r.Request(os.environ[\"SANDY_BASE_URL\"] + \"/v1/models\", headers={\"Authorization\": \"Bearer \" + os.environ[\"SANDY_API_KEY\"]}))'"
        said = client.post(f"/api/sandboxes/{box}/exec", json={"command": command}).json()
        assert "403" in said["stderr"]
