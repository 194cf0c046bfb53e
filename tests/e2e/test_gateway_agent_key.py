"""An agent that answers chats with a key that its sandbox, which belongs to whoever chats, does not hold."""

import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import test_secrets
import world as there
from running_server import Server
from service import Service
from test_gateway_sandboxes import chat, client_of, config, text_of
from waiting import wait_until

HERE = Path(__file__).parent
KEY = "sk-of-the-operator-7c0ffee"
LOOK = "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n'; find /root /home /tmp /workspace /etc -xdev -type f " \
       "-size -1000k -exec cat {} + 2>/dev/null; true"


class Models(test_secrets.Hosts):
    """Hosts with TLS, behind which a stand-in model answers who has the key."""

    def __init__(self, scratch, port):
        self.port = port
        super().__init__(scratch)

    def _http(self, client):
        with socket.create_connection(("127.0.0.1", self.port)) as model:
            threading.Thread(target=self._pump, args=(model, client), daemon=True).start()
            self._pump(client, model)

    @staticmethod
    def _pump(source, sink):
        try:
            while piece := source.recv(65536):
                sink.sendall(piece)
        except OSError:  # the other side has gone, or said nothing for long
            pass
        finally:
            sink.close()


@pytest.fixture
def models(tmp_path):
    with there.network_namespace():
        command = [sys.executable, HERE / "model_server.py", "--key", KEY]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as model:
            try:
                made = Models(tmp_path, int(model.stdout.readline()))
                yield made
                made.close()
            finally:
                model.kill()


def test_an_agent_works_with_a_key_that_its_sandbox_does_not_hold(models, tmp_path, tmp_path_factory):
    model = ('[[models]]\nid = "{0}"\napi_key = "' + KEY + '"\n'
             'agent = {{ agent = "claude-code", model = "some-lab/stand-in{1}", base_url = "https://good.example" }}\n')
    text = model.format("agent", "") + model.format("busy", "-forever") + '[flavors.agent-ready]\nimage = "agent-ready"\n'
    arguments = (*test_secrets.settings(models), "--config", config(tmp_path, text), "--end-sandboxes")
    running = Server(tmp_path_factory.mktemp("s") / "data", arguments).start()  # its path must be short
    try:
        with client_of(running) as client, Service(running.base_url, running.api_key) as api:
            assert text_of(chat(client, "Write the file.", "agent", stream=True)) == "The work is done."
            body = {"model": "busy", "stream": True, "messages": [{"role": "user", "content": "Write the file."}]}
            with client.stream("POST", "/v1/chat/completions", json=body) as stream:
                chunks = (json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: {"))
                janus = (choice["delta"]["janus"] for each in chunks for choice in each["choices"] if "janus" in choice["delta"])
                box = next(each["payload"]["sandbox_id"] for each in janus if each["event"] == "sandbox_start")
                next(each for each in janus if each["event"] == "tool_start")  # so the model took the key
                seen = wait_until(lambda: text if "ANTHROPIC_API_KEY=sandy-secret-" in (text := api.output(box, LOOK)) else "", "the agent works")
                assert KEY not in seen
                assert [each["hosts"] for each in api.get(box).json()["secrets"]] == [["good.example:443"]]
                assert KEY not in api.get(box).text
            wait_until(lambda: client.get("/api/sandboxes").json()["sandboxes"] == [], "its sandbox is gone", 30)
    finally:
        assert running.stop() == 0
