"""What sandboxes get of the platform's services, through the server: the real thing in front of stand-ins."""

import hashlib
import json
import os
import threading

import pytest
from leftovers import leftovers
from platform_services import DONE, KEY, Services, configuration, delta, event, inside
from running_server import NotStarted, Server
from service import Service, answer
from waiting import wait_until

SMALL = {"resources": {"memory_mb": 256, "disk_gb": 0.2}, "ttl_seconds": 600, "network": "platform"}
CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def services():
    made = Services()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def forget(services):
    services.came.clear()
    services.paths.clear()


@pytest.fixture
def platform(sandyd, services, tmp_path):
    """Starts a server that offers the services: `platform(top="platform_max_tokens = 5\n")`."""

    def start(**more):
        file = tmp_path / "sandy.toml"
        file.write_text(configuration(services.url, **more))
        os.chmod(file, 0o600)
        return sandyd("--config", file)

    return start


@pytest.fixture(scope="module")
def running(services, tmp_path_factory):
    """A server with the usual services, for the tests that change nothing about it."""
    file = tmp_path_factory.mktemp("p") / "sandy.toml"
    file.write_text("platform_exec = true\n" + configuration(services.url, llm='timeout = "2s"\nmax_request = "1Mi"\nmax_answer = "4Mi"\n'))
    made = Server(tmp_path_factory.mktemp("s") / "data", ("--config", file)).start()
    yield made
    made.terminate_all()
    assert made.stop() == 0
    assert leftovers(made) == []


@pytest.fixture(scope="module")
def api(running):
    with Service(running.base_url, running.api_key) as service:
        yield service


@pytest.fixture
def box(api):
    with api.box(**SMALL) as made:
        yield made


def until(condition):
    return wait_until(condition, "what was expected of the platform")


def usage(api, box) -> dict:
    return answer(api.http.get(f"/api/sandboxes/{box}/usage"))


def metric(api, line: str) -> float:
    for each in api.http.get("/metrics").text.splitlines():
        if each.startswith(line + " "):
            return float(each.split()[-1])
    raise AssertionError(f"there is no {line}")


def test_services_are_reached_by_three_names_with_the_platforms_key(api, box, services, running):
    for name in ("platform-proxy", "platform", "host.docker.internal"):
        came = inside(api, box, f"""say(ask("{CHAT}?a=1", {{"model": "m"}}, host="{name}", headers={{
            "Authorization": "Bearer mine", "X-Api-Key": "mine", "Cookie": "mine=1", "X-Request-Id": "req-7",
            "X-Correlation-ID": "corr-7", "Forwarded": "for=1.2.3.4", "Accept-Encoding": "gzip"}}))""")
        assert came["status"] == 200 and json.loads(came["body"]) == {"path": CHAT + "?a=1"}, came
        assert came["headers"]["x-request-id"] == "req-7" and came["headers"]["x-correlation-id"] == "corr-7"
        assert KEY not in json.dumps(came)
        method, path, headers, body = services.came.pop()
        assert (method, path, json.loads(body)) == ("POST", CHAT + "?a=1", {"model": "m"})
        assert headers["authorization"] == f"Bearer {KEY}" and headers["accept-encoding"] == "identity"
        assert headers["x-request-id"] == "req-7" and headers["x-correlation-id"] == "corr-7"
        assert not {"x-api-key", "cookie", "forwarded"} & headers.keys()
    # Nobody learns the key: not inside, and not from the log.
    assert KEY not in api.output(box, "env; cat /proc/*/environ /etc/hosts /etc/resolv.conf 2>/dev/null | tr '\\0' '\\n'")
    assert KEY not in running.log.read_text()


def test_what_is_no_service_is_refused_and_counted(api, box, services, running):
    before = metric(api, "sandy_platform_violations_total")
    for path in ("/v1/files", "/", "/v1/chat/completions/../models", "/v1/chat/completions/", "/metrics", "/api/health"):
        came = inside(api, box, f'say(ask("{path}", {{}}, headers={{"X-Sandy-Host": "x"}}))')
        assert came["status"] == 403, (path, came)
        body = json.loads(came["body"])
        assert body["detail"] and body["error"]["code"] == "not_a_platform_service"
    assert inside(api, box, f'say(ask("{CHAT}", method="GET"))')["status"] == 405
    assert services.came == []
    assert usage(api, box)["violations"] == 6 and usage(api, box)["requests"] == 0
    assert metric(api, "sandy_platform_violations_total") == before + 6
    assert running.log.read_text().count("platform_violation") >= 6


def test_a_stream_comes_as_it_is_written(api, box, services):
    asked_again = threading.Event()
    services.paths["/v1/embeddings"] = lambda handler, body: (asked_again.set(), handler.json({"usage": {"prompt_tokens": 3, "total_tokens": 3}}))

    def stream(handler, body):
        handler.begin_events()
        handler.send_piece(delta("one"))
        assert asked_again.wait(20)  # the first piece has arrived inside
        handler.send_piece(delta("two")[:10])
        handler.send_piece(delta("two")[10:] + event(choices=[], usage={"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}) + DONE)
        handler.end_pieces()

    services.paths[CHAT] = stream
    lines = inside(api, box, f"""
connection = http.client.HTTPConnection("platform-proxy", 8000, timeout=30)
connection.request("POST", "{CHAT}", json.dumps({{"model": "m", "stream": True}}), {{"Content-Type": "application/json"}})
answer = connection.getresponse()
lines = [answer.headers["Content-Type"], answer.readline().decode()]
assert ask("/v1/embeddings", {{"input": "x"}})["status"] == 200
lines += [each.decode() for each in answer]
say(lines)
""")
    assert lines[0] == "text/event-stream"
    assert "".join(lines[1:]) == (delta("one") + delta("two") + event(choices=[], usage={"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}) + DONE).decode()
    until(lambda: usage(api, box)["tokens"] == 15)
    assert usage(api, box)["input_tokens"] == 13 and usage(api, box)["requests"] == 2


def test_bytes_pass_as_they_are(api, box, services):
    sound = os.urandom(1_000_000)

    def speak(handler, body):
        assert hashlib.sha256(body).hexdigest() == handler.headers["Accept-Language"]
        handler.send_response(200)
        handler.send_header("Content-Type", "audio/mpeg")
        handler.send_header("Content-Length", str(len(sound)))
        handler.end_headers()
        handler.wfile.write(sound)

    services.paths["/v1/audio/speech"] = speak
    came = inside(api, box, """
import hashlib, os
body = os.urandom(300000)
came = ask("/audio/speech", body, headers={"Content-Type": "audio/wav", "Accept-Language": hashlib.sha256(body).hexdigest()})
came["body"] = hashlib.sha256(came["body"].encode("latin-1")).hexdigest()
say(came)
""")
    assert came["status"] == 200 and came["headers"]["content-type"] == "audio/mpeg"
    assert came["body"] == hashlib.sha256(sound).hexdigest()


def test_statuses_and_bodies_of_services_pass_through(api, box, services):
    services.paths[CHAT] = lambda handler, body: handler.json({"detail": "slow down"}, 429, Retry_After="7", Set_Cookie="a=b", X_Secret="s")
    came = inside(api, box, f'say(ask("{CHAT}", {{}}))')
    assert came["status"] == 429 and json.loads(came["body"]) == {"detail": "slow down"}
    assert came["headers"]["retry-after"] == "7"
    assert not {"set-cookie", "x-secret"} & came["headers"].keys()
    assert usage(api, box)["tokens"] == 0


def test_sizes_are_bounded(api, box, services):
    assert inside(api, box, f'say(ask("{CHAT}", "x" * (1 << 20) + "y"))')["status"] == 413
    assert services.came == []
    services.paths[CHAT] = lambda handler, body: handler.json("x" * (5 << 20))
    came = inside(api, box, f'say(ask("{CHAT}", {{}}))')
    assert came["status"] == 502 and json.loads(came["body"])["error"]["code"] == "answer_too_large"

    def stream(handler, body):
        handler.begin_events()
        try:
            for _ in range(1000):
                handler.send_piece(delta("x" * 10_000))
        except OSError:
            pass

    services.paths[CHAT] = stream
    came = inside(api, box, f'say(ask("{CHAT}", {{}}))')
    assert came["status"] == 200 and len(came["body"]) < 5 << 20
    assert came["body"].endswith(DONE.decode()) and "answer_too_large" in came["body"].splitlines()[-4]


def test_a_service_that_hangs_is_given_up(api, box, services):
    release = threading.Event()
    services.paths[CHAT] = lambda handler, body: release.wait(20)
    came = inside(api, box, f'say(ask("{CHAT}", {{}}))')
    release.set()
    assert came["status"] == 504 and json.loads(came["body"])["error"]["code"] == "service_timeout"

    def stream(handler, body):
        handler.begin_events()
        handler.send_piece(delta("one"))
        again.wait(20)

    again = threading.Event()
    services.paths[CHAT] = stream
    came = inside(api, box, f'say(ask("{CHAT}", {{}}))')
    again.set()
    assert came["body"].startswith(delta("one").decode()) and came["body"].endswith(DONE.decode())
    assert "service_timeout" in came["body"] and not came["cut"]


def test_an_answer_that_breaks_off_says_so(api, box, services):
    def stream(handler, body):
        handler.begin_events()
        handler.send_piece(delta("one") + b"data: {\"half")
        handler.close_connection = True

    services.paths[CHAT] = stream
    came = inside(api, box, f'say(ask("{CHAT}", {{}}))')
    assert came["body"].startswith(delta("one").decode()) and "answer_broken" in came["body"]
    assert came["body"].endswith(DONE.decode())

    def half(handler, body):
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b"{")
        handler.close_connection = True

    services.paths[CHAT] = half
    assert inside(api, box, f'say(ask("{CHAT}", {{}}))')["cut"]


def test_memory_is_asked_as_it_wants_to_be(api, box, services):
    services.paths["/memories/relevant"] = lambda handler, body: handler.json({"memories": [{"id": "1", "caption": "c"}]})
    services.paths["/memories/extract"] = lambda handler, body: handler.json({"memories_saved": 1, "total_user_memories": 2})
    came = inside(api, box, 'say(ask("/memory/query", {"user_id": "u&1", "query": "what is it?"}))')
    assert json.loads(came["body"])["memories"][0]["caption"] == "c"
    came = inside(api, box, 'say(ask("/api/memory/store", {"userId": "u", "messages": [{"role": "user", "content": "x"}]}))')
    assert json.loads(came["body"]) == {"memories_saved": 1, "total_user_memories": 2}
    assert services.came[0][:2] == ("GET", "/memories/relevant?user_id=u%261&prompt=what%20is%20it%3F")
    assert services.came[1][:2] == ("POST", "/memories/extract")
    assert json.loads(services.came[1][3]) == {"user_id": "u", "conversation": [{"role": "user", "content": "x"}]}
    assert inside(api, box, 'say(ask("/memory/query", {"query": "x"}))')["status"] == 422


def test_a_sandbox_without_the_platform_does_not_get_it(api, services):
    with api.box(**{**SMALL, "network": "none"}) as box:
        assert "403" in api.output(box, "python3 -c 'import socket; s = socket.create_connection((\"192.0.0.8\", 8000)); s.sendall(b\"GET / HTTP/1.1\\r\\nHost: p\\r\\n\\r\\n\"); print(s.recv(99))'")
    assert services.came == []


def test_a_policy_that_forbids_the_platform_cuts_what_runs(api, box, services):
    went, over = threading.Event(), threading.Event()

    def stream(handler, body):
        handler.begin_events()
        handler.send_piece(delta("one"))
        went.set()
        over.wait(20)

    services.paths["/api/search"] = stream
    api.write(box, "/tmp/wait.py", "from ask import *\nopen('/tmp/came', 'w').write(json.dumps(ask('/search', {})))")
    inside(api, box, "say(1)")
    api.start(box, "cd /tmp && python3 wait.py")
    assert went.wait(20)
    answer(api.http.put(f"/api/sandboxes/{box}/network", json={"mode": "none"}))
    assert json.loads(until(lambda: api.output(box, "cat /tmp/came 2>/dev/null || true"))).get("status") in (None, 200)
    over.set()


def test_the_port_stays_the_sandboxes_own(api, box):
    api.start(box, "cd /tmp && python3 -m http.server 8000 --bind 0.0.0.0")
    until(lambda: "Directory listing" in api.output(box, "python3 -c 'import urllib.request; print(urllib.request.urlopen(\"http://127.0.0.1:8000\").read())' 2>&1 || true"))
    assert inside(api, box, f'say(ask("{CHAT}", {{}}))')["status"] == 200


def test_nested_execution(api, box, services):
    came = inside(api, box, 'say(ask("/sandbox/exec", {"language": "python", "code": "import os\\nprint(6 * 7, os.getcwd())\\nraise SystemExit(3)"}))')
    ran = json.loads(came["body"])
    assert came["status"] == 200 and ran["stdout"].startswith("42 ") and ran["exit_code"] == ran["exitCode"] == 3, came
    child = ran["sandbox_id"]
    assert answer(api.get(child))["parent_sandbox_id"] == box
    assert answer(api.get(child))["network"]["mode"] == "none"
    again = json.loads(inside(api, box, f'say(ask("/sandbox/exec", {{"command": "ls -d /tmp/exec* ; echo $A", "env": {{"A": "b"}}, "sandbox_id": "{child}"}}))')["body"])
    assert again["sandbox_id"] == child and again["stdout"] == "b\n"  # no code is left behind
    with api.box(**SMALL) as other:
        for id in (other, "000000000000000000000000", box):
            assert inside(api, box, f'say(ask("/sandbox/exec", {{"command": "true", "sandbox_id": "{id}"}}))')["status"] in (403, 404)
    late = json.loads(inside(api, box, f'say(ask("/sandbox/exec", {{"command": "sleep 60", "timeout": 0.2, "sandbox_id": "{child}"}}))')["body"])
    assert late["exit_code"] == 124 and "Command timed out" in late["stderr"]
    api.terminate(box)
    until(lambda: api.get(child).status_code == 404)


def test_code_runs_where_it_gets_what_it_is_promised(api, box):
    made = json.loads(inside(api, box, 'say(ask("/sandbox/exec", {"command": "true"}))')["body"])
    assert answer(api.get(made["sandbox_id"]))["network"]["mode"] == "platform"
    came = inside(api, box, f'say(ask("/sandbox/exec", {{"code": "print(1)", "sandbox_id": "{made["sandbox_id"]}"}}))')
    assert came["status"] == 409, came
    code = json.loads(inside(api, box, 'say(ask("/sandbox/exec", {"code": "print(1)"}))')["body"])
    again = inside(api, box, f'say(ask("/sandbox/exec", {{"code": "print(2)", "sandbox_id": "{code["sandbox_id"]}"}}))')
    assert again["status"] == 200 and json.loads(again["body"])["stdout"] == "2\n"


def test_much_output_of_nested_execution_comes_in_pieces(api, box):
    program = """
came = ask("/sandbox/exec", {"command": "head -c 1500000 /dev/zero; head -c 700000 /dev/zero >&2"})
ran = json.loads(came["body"])
say([came["status"], came["headers"].get("content-length"), len(ran["stdout"]), len(ran["stderr"]), ran["exit_code"], len(ran["sandbox_id"])])
"""
    assert inside(api, box, program) == [200, None, 1_500_000, 700_000, 0, 24]


def test_nested_execution_is_within_the_tenants_limits(platform):
    running = platform(top="platform_exec = true\ntenant_creations_per_hour = 3\ntenant_streams = 2\n")
    with Service(running.base_url, running.api_key) as api, api.box(**SMALL) as box:
        ask = lambda **body: inside(api, box, f'say(ask("/sandbox/exec", {body}))')
        made = [ask(command="true") for _ in range(3)]
        assert [each["status"] for each in made] == [200, 200, 429], made
        child = json.loads(made[0]["body"])["sandbox_id"]
        assert ask(command="true", sandbox_id=child)["status"] == 200  # nothing is made
        many = inside(api, box, f"""
import threading
came = []
run = lambda: came.append(ask("/sandbox/exec", {{"command": "sleep 3", "sandbox_id": "{child}"}})["status"])
threads = [threading.Thread(target=run) for _ in range(4)]
[each.start() for each in threads], [each.join() for each in threads]
say(sorted(came))
""")
        # The command that asks for all this holds one of the two places.
        assert many == [200, 429, 429, 429]


def test_a_budget_that_runs_out_in_a_stream_ends_it_truthfully(platform, services):
    running = platform(top="platform_max_tokens = 20\n")
    services.paths[CHAT] = lambda handler, body: handler.events(
        *(delta(str(n), usage={"prompt_tokens": 10, "completion_tokens": 4 * n}) for n in range(1, 6)), DONE)
    with Service(running.base_url, running.api_key) as api, api.box(**SMALL) as box:
        came = inside(api, box, f'say(ask("{CHAT}", {{"stream": True}}))')
        events = came["body"].split("\n\n")
        assert len(events) == 6 and events[4:] == ["data: [DONE]", ""], came
        assert json.loads(events[3][6:])["error"]["code"] == "budget_exhausted"
        used = usage(api, box)
        assert used["tokens"] == 22 and used["limits"]["tokens"] == 20
        came = inside(api, box, f'say(ask("{CHAT}", {{}}))')
        assert came["status"] == 429 and came["headers"]["x-should-retry"] == "false"
        assert json.loads(came["body"])["error"]["code"] == "budget_exhausted"
        assert len(services.came) == 1
        assert metric(api, 'sandy_platform_over_budget_total{service="llm"}') == 2


def test_tokens_that_nobody_tells_are_estimated(platform, services):
    running = platform(top="platform_max_tokens = 1000\n")
    services.paths[CHAT] = lambda handler, body: handler.events(*(delta(str(n)) for n in range(30)), DONE)
    with Service(running.base_url, running.api_key) as api, api.box(**SMALL) as box:
        inside(api, box, f'say(ask("{CHAT}", {{"text": "x" * 388}}))')
        until(lambda: usage(api, box)["input_tokens"] == 100)
        assert usage(api, box)["output_tokens"] == 30


def leaving_early(api, box, program: str) -> dict:
    """What was used when a request was left after that."""
    inside(api, box, f"""
connection = http.client.HTTPConnection("platform-proxy", 8000, timeout=30)
connection.request("POST", "{CHAT}", json.dumps({{"text": "x" * 388}}), {{"Content-Type": "application/json"}})
answer = connection.getresponse()
{program}
answer.close(), connection.close()
say(1)
""")
    # Whoever hung up may still be reading, for ten seconds.
    wait_until(lambda: usage(api, box)["output_tokens"] > 0, "its output is counted", 30)
    return usage(api, box)


def test_leaving_early_makes_nothing_free(platform, services):
    running = platform()
    with Service(running.base_url, running.api_key) as api:
        over = threading.Event()

        def stream(handler, body):
            handler.begin_events()
            handler.send_piece(event(type="message_start", message={"model": "m", "usage": {"input_tokens": 7, "output_tokens": 1}}))
            for _ in range(29):
                handler.send_piece(event(type="content_block_delta", delta={"text": "x"}))
            over.wait(20)

        services.paths[CHAT] = stream
        with api.box(**SMALL) as box:
            used = leaving_early(api, box, "for _ in range(60): answer.readline()")
            assert used["input_tokens"] == 7 and used["output_tokens"] == 30, used
        over.set()
        over = threading.Event()

        def whole(handler, body):
            handler.send_response(200)
            handler.send_header("Content-Type", "application/json")
            handler.send_header("Content-Length", "4000")
            handler.end_headers()
            handler.wfile.write(b" " * 80)
            over.wait(20)

        services.paths[CHAT] = whole
        with api.box(**SMALL) as box:
            used = leaving_early(api, box, "answer.read(80)")
            assert used["input_tokens"] == 100 and used["output_tokens"] == 1000, used
        over.set()


def test_the_price_is_that_of_the_model_that_is_asked(platform, services):
    prices = "".join(f'\n[platform_prices."{name}"]\ninput = "{price}"\noutput = "0"\n' for name, price in (("small", 1), ("big", 100), ("*", 10)))
    running = platform(top='platform_max_cost = "1000"\n', prices=prices)
    said = {"metadata": {"model": "small"}, "usage": {"prompt_tokens": 10_000, "completion_tokens": 0}}
    services.paths[CHAT] = lambda handler, body: handler.json(said)
    bodies = {
        '{"model": "big"}': 1.0,
        '{"metadata": {"model": "small"}, "model": "big", "x": {"model": "small"}}': 1.0,
        r'{"model": "small", "mod\\u0065l": "b\\u0069g"}': 1.0,
        '{"model": "small", "model": "big"}': 1.0,
        '{"model": "unknown"}': 0.1,
        '{"metadata": {"model": "small"}}': 0.1,
    }
    with Service(running.base_url, running.api_key) as api, api.box(**SMALL) as box:
        spent = 0.0
        for body, cost in bodies.items():
            assert inside(api, box, f"say(ask('{CHAT}', '{body}'))")["status"] == 200, body
            spent += cost
            until(lambda: usage(api, box)["cost"] == pytest.approx(spent))
    with pytest.raises(NotStarted) as failed:
        platform(top='platform_max_cost = "1"\n', prices='\n[platform_prices.small]\ninput = "1"\noutput = "1"\n')
    assert "platform_prices" in failed.value.output


def test_money_is_counted_and_children_spend_their_parents(platform, services):
    prices = "".join(f'\n[platform_prices."{name}"]\ninput = "1"\noutput = "2"\n' for name in ("m", "*"))
    running = platform(top='platform_max_cost = "0.01"\n', prices=prices)
    services.paths[CHAT] = lambda handler, body: handler.json({"model": "m", "usage": {"prompt_tokens": 4000, "completion_tokens": 1000}})
    with Service(running.base_url, running.api_key) as api, api.box(**SMALL) as box:
        made = inside(api, box, """
import os
came = ask("/api/sandboxes", {"ttl_seconds": 300}, headers={"Authorization": "Bearer " + os.environ["SANDY_API_KEY"]})
say(json.loads(came["body"]))
""")
        child = made["sandboxId"]
        assert made["parent_sandbox_id"] == box
        assert inside(api, child, f'say(ask("{CHAT}", {{}}))')["status"] == 200
        until(lambda: usage(api, box)["cost"] == pytest.approx(0.006))
        assert usage(api, child)["cost"] == pytest.approx(0.006)
        assert inside(api, box, f'say(ask("{CHAT}", {{}}))')["status"] == 200
        until(lambda: usage(api, box)["cost"] == pytest.approx(0.012))
        came = inside(api, child, f'say(ask("{CHAT}", {{}}))')  # it spent 0.006 itself, and its parent all
        assert came["status"] == 429 and "money" in json.loads(came["body"])["detail"]


def test_a_service_that_fails_gets_a_rest(platform, services):
    running = platform(top='platform_breaker_failures = 3\nplatform_breaker_pause = "1s"\n')
    services.paths[CHAT] = lambda handler, body: handler.json({"detail": "broken"}, 500)
    with Service(running.base_url, running.api_key) as api, api.box(**SMALL) as box, api.box(**SMALL) as other:
        ask = lambda path=CHAT, box=box: inside(api, box, f'say(ask("{path}", {{}}))')
        assert [ask()["status"] for _ in range(5)] == [500] * 5  # one alone may be to blame for it
        assert ask(box=other)["status"] == 500
        came = ask()
        assert came["status"] == 503 and came["headers"]["retry-after"] == "1"
        assert json.loads(came["body"])["error"]["code"] == "service_suspended"
        assert len(services.came) == 6
        assert metric(api, 'sandy_platform_breaker_state{service="llm"}') == 1
        assert ask("/v1/embeddings")["status"] == 200  # each has its own
        del services.paths[CHAT]
        until(lambda: ask()["status"] == 200)
        assert metric(api, 'sandy_platform_breaker_state{service="llm"}') == 0


def test_a_service_that_is_not_there_cannot_be_reached(sandyd, tmp_path):
    (tmp_path / "sandy.toml").write_text('[platform.llm]\ntarget = "http://127.0.0.1:1/v1"\n[platform.search]\ntarget = "http://127.0.0.1:1/s"\n')
    running = sandyd("--config", tmp_path / "sandy.toml")
    with Service(running.base_url, running.api_key) as api, api.box(**SMALL) as box:
        for path in (CHAT, "/search"):
            came = inside(api, box, f'say(ask("{path}", {{}}))')
            assert came["status"] == 502 and json.loads(came["body"])["error"]["code"] == "service_unreachable"
            assert "127.0.0.1" not in came["body"]
        # Only what may be sent again is tried again.
        assert running.log.read_text().count("platform_service_failed") == 1 + 3


def test_a_server_that_stops_does_not_wait_for_streams(platform, services):
    running = platform(top='shutdown_grace = "1s"\n')
    went, over = threading.Event(), threading.Event()

    def stream(handler, body):
        handler.begin_events()
        handler.send_piece(delta("one"))
        went.set()
        over.wait(30)

    services.paths["/api/search"] = stream
    with Service(running.base_url, running.api_key) as api:
        box = api.create(**SMALL)["sandboxId"]
        inside(api, box, "say(1)")
        api.write(box, "/tmp/wait.py", "from ask import *\nopen('/tmp/came', 'w').write(json.dumps(ask('/search', {})))")
        api.start(box, "cd /tmp && python3 wait.py")
        assert went.wait(20)
    assert running.stop() == 0
    over.set()
    running.start()
    with Service(running.base_url, running.api_key) as api:
        came = json.loads(until(lambda: api.output(box, "cat /tmp/came 2>/dev/null || true")))
        assert came["cut"] or "error" in came
        # The next server offers them again.
        assert inside(api, box, f'say(ask("{CHAT}", {{}}))')["status"] == 200


def test_two_answers_at_one_address_are_refused(sandyd, tmp_path):
    (tmp_path / "sandy.toml").write_text('platform_relay = "127.0.0.1:1"\n[platform.llm]\ntarget = "http://127.0.0.1:1/"\n')
    with pytest.raises(NotStarted) as failed:
        sandyd("--config", tmp_path / "sandy.toml")
    assert "exclude each other" in failed.value.output
    assert failed.value.exit_code == 2
