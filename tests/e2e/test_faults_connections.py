"""Clients that are slow, half gone or hostile, and a server that is asked to stop."""

import contextlib
import json
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import pytest
from leftovers import leftovers
from service import Service, answer
from waiting import wait_until


@contextlib.contextmanager
def connection(server):
    address = urlsplit(server.base_url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as client:
        yield client


def read_all(client) -> bytes:
    """Everything until the server closes; a reset counts as closing."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := client.recv(65536):
            received += piece
    return received


def request(server, method, path, body=None, extra="") -> bytes:
    data = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: sandy\r\nAuthorization: Bearer {server.api_key}\r\n{extra}"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data


@pytest.mark.parametrize("beginning", [b"G", b"GET /api/health HTTP/1.1\r\n", b"GET /api/health HTTP/1.1\r\nHost: a\r\nX: y"])
def test_a_client_that_never_ends_its_headers_is_sent_away(sandyd, beginning):
    server = sandyd("--header-timeout", "700ms")
    with connection(server) as slow, Service(server.base_url, server.api_key) as api:
        started = time.monotonic()
        slow.sendall(beginning)
        answer(api.http.get("/api/health"))
        received = read_all(slow)
        assert 0.5 < time.monotonic() - started < 6
        assert received == b"" or b" 408 " in received.split(b"\r\n")[0]


def test_headers_that_trickle_do_not_gain_time(sandyd):
    server = sandyd("--header-timeout", "1s")
    with connection(server) as slow:
        slow.settimeout(0.1)
        slow.sendall(b"GET /api/health HTTP/1.1\r\n")
        started = time.monotonic()

        def closed():
            try:
                slow.sendall(b"X-A: b\r\n")
                return slow.recv(4096) in (b"",) or True
            except TimeoutError:
                return False
            except OSError:
                return True

        wait_until(closed, "the trickling client is sent away", 8)
        assert time.monotonic() - started > 0.8


def test_a_body_that_stops_coming_is_given_up(sandyd):
    server = sandyd("--body-timeout", "700ms")
    with connection(server) as slow:
        slow.sendall(request(server, "POST", "/api/sandboxes", {"ttl_seconds": 60})[:-5])
        started = time.monotonic()
        received = read_all(slow)
        assert time.monotonic() - started < 6
        assert received == b"" or b" 408 " in received.split(b"\r\n")[0]
    with Service(server.base_url, server.api_key) as api:
        assert answer(api.http.get("/api/sandboxes"))["total"] == 0


def test_a_client_that_shut_its_writing_side_still_gets_its_answer(server, api, box):
    with connection(server) as client:
        client.sendall(request(server, "POST", f"/api/sandboxes/{box}/exec", {"command": "sleep 0.5; echo done"}))
        client.shutdown(socket.SHUT_WR)
        received = read_all(client)
    assert received.startswith(b"HTTP/1.1 200 ") and b'"done\\n"' in received


def test_connections_that_say_nothing_or_nonsense_are_closed_and_forgotten(server, api):
    def descriptors():
        return len(os.listdir(f"/proc/{server.pid}/fd"))

    before = descriptors()
    nonsense = [b"", b"\0" * 100, b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"GET / HTTP/9.9\r\n\r\n", b"a" * 100_000 + b"\r\n\r\n",
                b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"]  # fmt: skip
    for each in nonsense * 10:
        with connection(server) as client, contextlib.suppress(ConnectionResetError, BrokenPipeError):
            client.sendall(each)
            client.shutdown(socket.SHUT_WR)
            received = read_all(client)
            assert received == b"" or received[9:10] in b"45", received[:100]
    answer(api.http.get("/api/health"))
    wait_until(lambda: descriptors() <= before + 2, "closed connections are forgotten")


def test_an_answer_to_a_body_that_was_too_large_says_when_the_connection_ends_with_it(server):
    head = f"POST /api/sandboxes HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {server.api_key}\r\n"
    with connection(server) as client:
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):  # it need not read to the end
            client.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
            for _ in range(66):
                client.sendall(b"100000\r\n" + bytes(1 << 20) + b"\r\n")
            client.sendall(b"0\r\n\r\n")
        received = client.recv(65536)
        assert received.startswith(b"HTTP/1.1 413 ")
        if b"connection: close" not in received.lower():
            client.sendall(b"GET /api/health HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_many_idle_connections_cost_nobody_else_anything(server, api):
    with contextlib.ExitStack() as stack:
        for _ in range(500):
            stack.enter_context(connection(server))
        started = time.monotonic()
        for _ in range(20):
            answer(api.http.get("/api/health"))
        assert time.monotonic() - started < 2


def test_beyond_the_limit_of_connections_one_is_told_to_come_back(sandyd):
    server = sandyd("--max-connections", 3)
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            client = stack.enter_context(connection(server))
            client.sendall(b"GET /api/health HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.recv(4096).startswith(b"HTTP/1.1 200")
        extra = stack.enter_context(connection(server))
        extra.sendall(b"GET /api/health HTTP/1.1\r\nHost: a\r\n\r\n")
        received = read_all(extra)
        assert received.startswith(b"HTTP/1.1 503") and b"Retry-After" in received
    wait_until(lambda: httpx.get(f"{server.base_url}/api/health").status_code == 200, "there is room again")


def test_clients_that_hang_up_while_a_sandbox_is_made_leave_no_orphan(sandyd):
    server = sandyd()
    for _ in range(10):
        with connection(server) as client:
            client.sendall(request(server, "POST", "/api/sandboxes", {"ttl_seconds": 300}))
    with Service(server.base_url, server.api_key) as api:

        def orphans():
            # One whose answer was on its way when its client left is whole, and the owner sees it.
            for each in answer(api.http.get("/api/sandboxes"))["sandboxes"]:
                api.terminate(each["id"])
            return leftovers(server)

        wait_until(lambda: orphans() == [] or None, "creations without clients are undone", 20)


def test_a_burst_of_creations_succeeds_or_is_refused_at_once(sandyd):
    server = sandyd("--max-sandboxes", 6, "--create-queue", 3, "--create-concurrency", 2)
    limits = httpx.Limits(max_connections=40)
    with Service(server.base_url, server.api_key, limits=limits) as api, ThreadPoolExecutor(30) as pool:
        responses = list(pool.map(lambda _: api.http.post("/api/sandboxes", json={}), range(30)))
        made = [each.json()["id"] for each in responses if each.status_code == 200]
        assert 1 <= len(made) <= 6 and len(set(made)) == len(made)
        for each in responses:
            if each.status_code != 200:
                assert each.status_code in (429, 503) and int(each.headers["Retry-After"]) > 0, each.text
                assert each.json()["error"]["code"] in ("capacity_exhausted", "rate_limited")
        assert all(api.output(box, "echo ok") == "ok\n" for box in made)
        while (refused := api.http.post("/api/sandboxes", json={})).status_code == 200:
            made.append(refused.json()["id"])
        assert len(made) == 6 and refused.status_code == 503 and refused.headers["Retry-After"]
        api.terminate(made[0])
        assert api.http.post("/api/sandboxes", json={}).status_code == 200


def test_asked_to_stop_it_finishes_what_runs_and_takes_nothing_new(sandyd):
    server = sandyd()
    with Service(server.base_url, server.api_key) as api, ThreadPoolExecutor(1) as pool:
        box = api.create()["id"]
        command = {"command": "touch begun; while ! test -e go; do sleep 0.05; done; echo whole"}
        running = pool.submit(api.http.post, f"/api/sandboxes/{box}/exec", json=command)
        wait_until(lambda: api.exec(box, "test -e begun")["exitCode"] == 0, "the command runs")
        api.exec(box, "(sleep 1; touch go) > /dev/null 2>&1 &")
        server.process.terminate()

        def refuses():
            try:
                return httpx.post(f"{server.base_url}/api/sandboxes", json={}, headers=api.http.headers).status_code == 503
            except httpx.TransportError:
                return True

        wait_until(refuses, "new work is refused", 0.9)
        assert answer(running.result(20))["stdout"] == "whole\n"
    assert server.process.wait(20) == 0
    server.start()
    with Service(server.base_url, server.api_key) as api:
        assert api.output(box, "echo alive") == "alive\n"


@pytest.mark.parametrize("streaming", [False, True])
def test_what_does_not_finish_within_the_grace_is_told_and_never_gets_a_made_up_exit(sandyd, streaming):
    server = sandyd("--shutdown-grace", "1s")
    with Service(server.base_url, server.api_key) as api, ThreadPoolExecutor(1) as pool:
        box = api.create()["id"]
        command = {"command": "touch begun; sleep 60", "stream": streaming}
        running = pool.submit(api.http.post, f"/api/sandboxes/{box}/exec", json=command)
        wait_until(lambda: api.exec(box, "test -e begun")["exitCode"] == 0, "the command runs")
        started = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - started < 10
        try:
            told = running.result(5)
        except httpx.TransportError:
            pass  # a connection that is cut is the truth, too
        else:
            assert "exitCode" not in told.text and (told.status_code == 503 or "event: error" in told.text)
    server.start()


def test_a_reader_that_stops_reading_costs_bounded_memory_and_nobody_else(server, api, box):
    def resident():
        with open(f"/proc/{server.pid}/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))

    before = resident()
    with connection(server) as client:
        client.sendall(request(server, "POST", f"/api/sandboxes/{box}/exec", {"command": "yes", "stream": True}))
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
        started = time.monotonic()
        assert api.output(box, "head -c 30000000 /dev/zero | wc -c") == "30000000\n"
        assert time.monotonic() - started < 5
        assert resident() - before < 64 * 1024 * 1024
    # Hanging up ends the command of a stream.
    wait_until(lambda: api.exec(box, "pgrep -x yes")["exitCode"] == 1, "the command ends with its reader")


def test_terminate_ends_running_commands_with_the_truth(api):
    box = api.create()["id"]
    with ThreadPoolExecutor(2) as pool:
        command = {"command": "touch begun; sleep 60"}
        plain = pool.submit(api.http.post, f"/api/sandboxes/{box}/exec", json=command)
        streaming = pool.submit(api.http.post, f"/api/sandboxes/{box}/exec", json={**command, "stream": True})
        wait_until(lambda: api.exec(box, "test -e begun && test $(pgrep -c sleep) = 2")["exitCode"] == 0, "the commands run")
        started = time.monotonic()
        answer(api.terminate(box))
        assert time.monotonic() - started < 5
        told, streamed = plain.result(5), streaming.result(5)
    assert told.status_code >= 400 and "exitCode" not in told.json() and "terminated" in told.json()["detail"]
    assert "event: exit" not in streamed.text and streamed.text.count("event: error") == 1 and "terminated" in streamed.text
