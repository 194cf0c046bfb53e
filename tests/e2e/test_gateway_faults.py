"""The gateway in front of models that fail: before they say anything another one is asked, afterwards the truth is told."""

import json
import socket
import ssl
import subprocess
import threading
import time

import httpx
import pytest
from scripted_model import ScriptedModel, delta, whole
from test_gateway import CHAT, gateway, lines_of, model  # noqa: F401 (a fixture)

STREAM = {**CHAT, "stream": True}


def contents(lines) -> list:
    return [json.loads(line[6:])["choices"][0]["delta"].get("content") for line in lines if line.startswith("data: {")]


def both(client):
    """The answers to a whole chat and to a stream."""
    return client.post("/v1/chat/completions", json=CHAT), client.post("/v1/chat/completions", json=STREAM)


def test_one_that_refuses_is_followed_by_another(gateway):  # noqa: F811
    with ScriptedModel(lambda asked: False) as dead, ScriptedModel(lambda asked: asked.answer(500, {"detail": "broken"})) as broken, \
            ScriptedModel(lambda asked: asked.answer(200, whole("alive"))) as alive:
        unreachable = socket.create_server(("127.0.0.1", 0))
        port = unreachable.getsockname()[1]
        unreachable.close()
        client = gateway(f'id = "small"\nurls = ["http://127.0.0.1:{port}", "{dead.url}", "{broken.url}", "{alive.url}"]')
        for _ in range(4):
            response = client.post("/v1/chat/completions", json=CHAT)
            assert response.status_code == 200 and response.json()["choices"][0]["message"]["content"] == "alive"
        assert len(alive.asked) == 4 and broken.asked and dead.asked


def test_the_fallback_is_asked_last(gateway):  # noqa: F811
    with ScriptedModel(lambda asked: asked.answer(503, {"detail": "asleep"})) as asleep, ScriptedModel(lambda asked: asked.answer(200, whole("direct"))) as direct:
        client = gateway(model(asleep, more=f'fallback_url = "{direct.url}"'))
        assert client.post("/v1/chat/completions", json=CHAT).json()["choices"][0]["message"]["content"] == "direct"
        assert len(asleep.asked) == 1


def test_nobody_is_there(gateway):  # noqa: F811
    probe = socket.create_server(("127.0.0.1", 0))
    port = probe.getsockname()[1]
    probe.close()
    client = gateway(f'id = "small"\nurl = "127.0.0.1:{port}"')
    for response in both(client):
        assert response.status_code == 502 and "cannot be reached" in response.json()["detail"]


def test_a_request_that_the_model_finds_wrong_is_not_repeated(gateway):  # noqa: F811
    with ScriptedModel(lambda asked: asked.answer(400, {"error": {"message": "context is too long"}})) as upstream:
        client = gateway(f'id = "small"\nurls = ["{upstream.url}", "{upstream.url}"]')
        for response in both(client):
            assert response.status_code == 502 and response.json()["detail"] == "Competitor error (400): context is too long"
        assert len(upstream.asked) == 2


def test_one_that_wakes_up_is_asked_again(gateway):  # noqa: F811
    def script(asked):
        if asked.number % 3 < 2:
            return asked.answer(429 if asked.number % 3 else 503, {"detail": "waking"})
        if not asked.json.get("stream"):
            return asked.answer(200, whole("awake"))
        asked.begin_events()
        asked.event(delta("awake"))
        asked.event("[DONE]")
        asked.end_events()

    with ScriptedModel(script) as upstream:
        client = gateway(model(upstream))
        answer, stream = both(client)
        assert answer.json()["choices"][0]["message"]["content"] == "awake"
        lines = lines_of(stream)
        assert lines[:2] == [": warming upstream"] * 2 and contents(lines) == ["awake"]


def test_one_that_never_wakes_up(gateway):  # noqa: F811
    with ScriptedModel(lambda asked: asked.answer(503, {"detail": "asleep"})) as upstream:
        client = gateway(model(upstream))
        answer, stream = both(client)
        assert answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0
        assert len(upstream.asked) == 12
        lines = lines_of(stream)
        assert lines.count(": warming upstream") == 5 and "try again" in contents(lines)[0]
        assert json.loads(lines[-2][6:])["choices"][0]["finish_reason"] == "stop"


def test_one_that_hangs(gateway):  # noqa: F811
    closed = threading.Event()

    def script(asked):
        if asked.number == 2:
            asked.begin_events()
            asked.event(delta("begun"))
        if asked.until_closed():
            closed.set()
        return False

    with ScriptedModel(script) as upstream:
        client = gateway(model(upstream), flags=("--gateway-first-token-timeout", "1s", "--gateway-chunk-timeout", "1s"))
        answer, stream = both(client)
        for response in (answer, stream):
            assert response.status_code == 504 and response.json()["detail"] == "Request timed out"
        lines = lines_of(client.post("/v1/chat/completions", json=STREAM))
        assert contents(lines) == ["begun", "Request timed out"]
        assert closed.wait(20)


def test_one_that_crashes_in_mid_stream(gateway):  # noqa: F811
    def script(asked):
        asked.begin_events()
        asked.event(delta("half an"))
        asked.chunk('data: {"not whole')
        return False

    with ScriptedModel(script) as upstream:
        client = gateway(f'id = "small"\nurls = ["{upstream.url}", "{upstream.url}"]')
        lines = lines_of(client.post("/v1/chat/completions", json=STREAM))
        said = contents(lines)
        assert said[0] == "half an" and said[1].startswith("Connection error: ") and len(said) == 2
        assert len(upstream.asked) == 1, "what began to answer is not asked again"


@pytest.mark.parametrize("garbage", [b"\x00\xff" * 1000, b"<html>no</html>", b"", b"[1, 2]", b"data: {}\n\n"])
def test_one_that_answers_garbage(gateway, garbage):  # noqa: F811
    with ScriptedModel(lambda asked: asked.answer(200, garbage, "text/plain")) as upstream:
        client = gateway(model(upstream))
        answer, stream = both(client)
        assert answer.status_code == 502 and answer.json()["detail"].startswith("Competitor error")
        if garbage.startswith(b"data"):
            assert lines_of(stream) == ["data: {}", "data: [DONE]"]
        else:
            assert stream.status_code == 502 and "no event stream" in stream.json()["detail"]


def test_one_that_speaks_no_http(gateway):  # noqa: F811
    def script(asked):
        asked.send("SSH-2.0-OpenSSH_9\r\n\r\n")
        return False

    with ScriptedModel(script) as upstream:
        for response in both(gateway(model(upstream))):
            assert response.status_code == 502 and "not valid HTTP" in response.json()["detail"]


def test_lines_of_ten_mebibytes_pass_and_are_not_kept(gateway):  # noqa: F811
    big = "x" * (10 * 1024 * 1024)

    def script(asked):
        if not asked.json.get("stream"):
            return asked.answer(200, whole(big))
        asked.begin_events()
        for _ in range(8):
            asked.event(delta(big))
        asked.event("[DONE]")
        asked.end_events()

    with ScriptedModel(script) as upstream:
        client = gateway(model(upstream))
        assert client.post("/v1/chat/completions", json=CHAT).json()["choices"][0]["message"]["content"] == big

        def resident():
            status = open(f"/proc/{client.running.pid}/status").read()
            return int(status.split("VmHWM:")[1].split()[0])

        client.post("/v1/chat/completions", json=STREAM)
        before = resident()
        stream = client.post("/v1/chat/completions", json=STREAM)
        assert [len(each) for each in contents(lines_of(stream))] == [len(big)] * 8
        assert resident() - before < 20 * 1024, "KiB more for 80 MiB that passed"


def test_a_client_that_leaves_ends_the_request(gateway):  # noqa: F811
    closed = threading.Event()

    def script(asked):
        asked.begin_events()
        asked.event(delta("one"))
        if asked.until_closed():
            closed.set()
        return False

    with ScriptedModel(script) as upstream:
        client = gateway(model(upstream))
        with client.stream("POST", "/v1/chat/completions", json=STREAM) as response:
            assert next(response.iter_lines()).startswith("data: ")
        assert closed.wait(20)


EVENT = f"data: {json.dumps(delta('more'))}\n\n"


@pytest.mark.parametrize("said", ["x", ": hello\n\n", "event: nothing\n\n", EVENT])
def test_one_that_says_a_little_all_the_time_is_held_to_the_limits(gateway, said):  # noqa: F811
    closed = threading.Event()

    def script(asked):
        asked.begin_events()
        if asked.until_closed_saying(said):
            closed.set()
        return False

    with ScriptedModel(script) as upstream:
        client = gateway(model(upstream), flags=("--gateway-timeout", "2s"))
        response = client.post("/v1/chat/completions", json=STREAM)
        begun = response.status_code == 200  # with an event, or with the comment that silence is due
        assert (contents(lines_of(response))[-1] if begun else response.json()["detail"]) == "Request timed out"
        assert closed.wait(20)


@pytest.mark.parametrize("said", ["x", EVENT])
def test_a_client_that_leaves_ends_a_request_that_is_being_answered(gateway, said):  # noqa: F811
    begun, closed = threading.Event(), threading.Event()

    def script(asked):
        asked.begin_events()
        begun.set()
        if asked.until_closed_saying(said):
            closed.set()
        return False

    with ScriptedModel(script) as upstream:
        client = gateway(model(upstream))
        with socket.create_connection(("127.0.0.1", client.base_url.port)) as leaving:
            body = json.dumps(STREAM)
            leaving.sendall(f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: {client.headers['Authorization']}\r\n"
                            f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
            assert begun.wait(20)
        assert closed.wait(20)


def test_no_comment_is_put_into_a_line(gateway):  # noqa: F811
    long = "x" * 200_000

    def script(asked):
        asked.begin_events()
        line = f"data: {json.dumps(delta(long))}"
        asked.chunk(line[:150_000])
        threading.Event().wait(2.5)  # a comment would be due
        asked.chunk(line[150_000:] + "\n\n")
        asked.event("[DONE]")
        asked.end_events()

    with ScriptedModel(script) as upstream:
        lines = lines_of(gateway(model(upstream)).post("/v1/chat/completions", json=STREAM))
        assert contents(lines) == [long] and lines[-1] == "data: [DONE]"


@pytest.mark.parametrize("goes_on", [False, True])
def test_a_server_that_stops_tells_its_streams(gateway, goes_on):  # noqa: F811
    def script(asked):
        asked.begin_events()
        asked.event(delta("one"))
        asked.until_closed_saying(EVENT) if goes_on else asked.until_closed()
        return False

    with ScriptedModel(script) as upstream:
        client = gateway(model(upstream), flags=("--shutdown-grace", "1s"))
        lines = []
        with client.stream("POST", "/v1/chat/completions", json=STREAM) as response:
            for line in response.iter_lines():
                if line and not lines:
                    stopping = threading.Thread(target=client.running.stop)
                    stopping.start()
                lines += [line] if line else []
        stopping.join()
        said = contents(lines)
        assert said[0] == "one" and said[-1] == "The server is stopping." and lines[-1] == "data: [DONE]"
        assert goes_on == ("more" in said)


def test_tls_is_verified(gateway, tmp_path):  # noqa: F811
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-keyout", key, "-out", certificate,
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)

    def script(asked):
        asked.answer(200, whole("secret " * 10_000))

    with ScriptedModel(script, tls) as upstream:
        trusting = gateway(model(upstream), flags=("--upstream-ca-file", certificate))
        for _ in range(3):
            assert len(trusting.post("/v1/chat/completions", json={**CHAT, "user": "u" * 100_000}).json()["choices"][0]["message"]["content"]) == 70_000
        wary = gateway(model(upstream))
        refused = wary.post("/v1/chat/completions", json=CHAT)
        assert refused.status_code == 502 and "TLS" in refused.json()["detail"]
        # The certificate is for the name, not for the address.
        elsewhere = gateway(f'id = "small"\nurl = "https://127.0.0.1:{upstream.port}"', flags=("--upstream-ca-file", certificate))
        refused = elsewhere.post("/v1/chat/completions", json=CHAT)
        assert refused.status_code == 502 and "TLS" in refused.json()["detail"]


def test_a_client_that_reads_nothing_slows_only_its_own_model(gateway):  # noqa: F811
    sent = []

    def script(asked):
        asked.begin_events()
        if asked.json["model"] == "quick":
            asked.event(delta("quick"))
            asked.end_events()
            return
        for _ in range(2000):
            asked.event(delta("x" * 65536))
            sent.append(1)

    with ScriptedModel(script) as upstream:
        client = gateway(model(upstream))
        with client.stream("POST", "/v1/chat/completions", json=STREAM):
            time.sleep(1)
            stalled = len(sent)
            assert stalled < 1000, "the model is slowed by its reader"
            for _ in range(5):
                lines = lines_of(httpx.post(f"{client.base_url}/v1/chat/completions", json={**STREAM, "model": "quick"}, headers=client.headers))
                assert contents(lines) == ["quick"]
