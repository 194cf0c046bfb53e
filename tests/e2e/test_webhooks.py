"""Webhooks: signed, repeated until they are taken, and kept out of private networks."""

import hashlib
import hmac
import http.server
import json
import ssl
import subprocess
import threading
import time

import pytest
from service import Service, answer
from waiting import wait_until

SECRET = "a secret of this test"


class Receiver:
    """Takes posts on loopback; answers the statuses it is given, then 204."""

    def __init__(self, tls=None):
        self.posts = []
        self.statuses = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver.statuses.pop(0) if receiver.statuses else 204
                receiver.posts.append((dict(self.headers), body, status))
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def events(self, status=204) -> list:
        """What was taken."""
        return [json.loads(body) for _, body, answered in self.posts if answered == status]


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def hooked(sandyd, tmp_path):
    """Makes a server whose events go to a URL."""

    def start(url, **more):
        lines = [f'url = "{url}"', f'secret = "{SECRET}"', *(f"{key} = {json.dumps(value)}" for key, value in more.items())]
        config = tmp_path / "sandy.toml"
        config.write_text("[[webhook]]\n" + "\n".join(lines) + "\n")
        running = sandyd("--config", config)
        return running

    return start


def live_and_die(running) -> str:
    with Service(running.base_url, running.api_key) as service, service.box() as box:
        pass
    return box


def counted(running, outcome) -> float:
    with Service(running.base_url, running.api_key) as service:
        text = service.http.get("/metrics").text
    name = f'sandy_webhook_deliveries_total{{outcome="{outcome}"}} '
    return float(next(line for line in text.splitlines() if line.startswith(name)).split()[-1])


def test_events_are_posted_signed_and_in_order(hooked, receiver):
    running = hooked(f"http://127.0.0.1:{receiver.port}/hook?to=me", allow_private=True)
    box = live_and_die(running)
    wait_until(lambda: len(receiver.posts) == 3, "the posts arrive")
    assert [event["type"] for event in receiver.events()] == ["sandbox.created", "sandbox.ending", "sandbox.ended"]
    for headers, body, _ in receiver.posts:
        event = json.loads(body)
        assert event["sandbox_id"] == box and event["tenant"] == "default"
        assert headers["Sandy-Event"] == event["type"]
        assert abs(int(headers["Sandy-Timestamp"]) - time.time()) < 60
        signed = headers["Sandy-Timestamp"].encode() + b"." + body
        assert headers["Sandy-Signature"] == "v1=" + hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert len({headers["Sandy-Delivery"] for headers, _, _ in receiver.posts}) == 3
    assert counted(running, "delivered") == 3


def test_a_refused_post_is_repeated_under_the_same_name(hooked, receiver):
    receiver.statuses = [500]
    running = hooked(f"http://127.0.0.1:{receiver.port}/", allow_private=True, events=["sandbox.created"])
    live_and_die(running)
    wait_until(lambda: len(receiver.posts) == 2, "the posts arrive")
    (first, first_body, _), (second, second_body, _) = receiver.posts
    assert first_body == second_body
    assert first["Sandy-Delivery"] == second["Sandy-Delivery"]
    wait_until(lambda: counted(running, "delivered") == 1, "a delivery is delivered")
    assert counted(running, "retried") == 1


def test_private_addresses_are_refused_unless_allowed(hooked, receiver):
    # A name, so that it is the looked-up address that counts.
    running = hooked(f"http://localhost:{receiver.port}/")
    live_and_die(running)
    wait_until(lambda: counted(running, "forbidden") == 3, "a delivery is forbidden")
    assert receiver.posts == []


def test_a_receiver_that_is_gone_is_left_alone(hooked, receiver):
    receiver.statuses = [410]
    running = hooked(f"http://127.0.0.1:{receiver.port}/", allow_private=True)
    live_and_die(running)
    wait_until(lambda: counted(running, "gone") == 1, "a delivery is gone")
    live_and_die(running)
    assert len(receiver.posts) == 1


def test_deliveries_go_on_after_a_crash(hooked, receiver):
    receiver.statuses = [503] * 100
    running = hooked(f"http://127.0.0.1:{receiver.port}/", allow_private=True)
    box = live_and_die(running)
    with Service(running.base_url, running.api_key) as service:
        query = {"types": "sandbox.ended", "sandbox_id": box}
        wait_until(lambda: answer(service.http.get("/api/events", params=query, headers={"Accept": "application/json"}))["events"], "the end is told")
    wait_until(lambda: receiver.posts, "the posts arrive")
    running.kill()
    receiver.statuses = []
    running.start()
    wait_until(lambda: len(receiver.events()) == 3, "the posts arrive")
    assert [event["type"] for event in receiver.events()] == ["sandbox.created", "sandbox.ending", "sandbox.ended"]


@pytest.fixture
def certificate(tmp_path):
    """A certificate for localhost that nobody trusts by itself, with its key."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert], check=True, capture_output=True)  # fmt: skip
    return cert, key


@pytest.mark.parametrize("host, trusted", [("localhost", True), ("localhost", False), ("127.0.0.1", True)])
def test_tls_needs_a_certificate_that_is_trusted_and_for_that_host(hooked, certificate, monkeypatch, host, trusted):
    cert, key = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    receiver = Receiver(context)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    running = hooked(f"https://{host}:{receiver.port}/", allow_private=True, events=["sandbox.created"])
    live_and_die(running)
    if trusted and host == "localhost":
        wait_until(lambda: counted(running, "delivered") == 1, "a delivery is delivered")
        assert len(receiver.posts) == 1
    else:
        wait_until(lambda: counted(running, "retried") >= 1, "a delivery is retried")
        assert receiver.posts == []
    receiver.close()
