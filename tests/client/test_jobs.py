"""The jobs in one call, against a stand-in server; their shell parts against the real shell."""

import asyncio
import http.server
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest
import sandy
from sandy import tasks, webapp

BOX = "/api/sandboxes/0123456789abcdef"
CREATED = {"sandbox_id": "0123456789abcdef", "public_url": "https://0123456789abcdef.box.test", "ttl_remaining": 90}


@pytest.fixture
def server(stand_in, monkeypatch):
    """The jobs make their own clients: give those the stand-in."""
    made = lambda: sandy.SandyClient("http://sandy.test", "key", transport=stand_in.transport)  # noqa: E731
    monkeypatch.setattr(tasks, "SandyClient", made)
    monkeypatch.setattr(webapp, "SandyClient", made)
    stand_in.answers = {
        "POST /api/sandboxes": CREATED,
        f"POST {BOX}/files/write": {"success": True},
        f"POST {BOX}/exec": {"stdout": "42\n", "stderr": "", "exit_code": 0},
        f"POST {BOX}/terminate": {"ok": True},
    }
    stand_in.called = lambda: [f"{request.method} {request.url.path.replace(BOX, '')}" for request in stand_in.requests]
    return stand_in


@pytest.mark.parametrize("language, command", [("python", "python3 /workspace/task.py"), ("node", "node /workspace/task.js"), ("bash", "bash /workspace/task.sh")])
def test_an_isolated_task_ends_its_sandbox(server, language, command):
    assert asyncio.run(sandy.run_isolated_task("print(42)", language, timeout=30)) == ("42\n", "", 0)
    assert server.called() == ["POST /api/sandboxes", "POST /files/write", "POST /exec", "POST /terminate"]
    assert server.body(0)["ttl_seconds"] == 90
    assert server.body(2)["command"] == command


def test_an_isolated_task_that_fails_ends_its_sandbox_too(server):
    server.answers[f"POST {BOX}/exec"] = httpx.Response(503, json={"detail": "shutting down"})
    with pytest.raises(sandy.SandyError):
        asyncio.run(sandy.run_isolated_task("x"))
    assert server.called()[-1] == "POST /terminate"


def test_an_unknown_language_costs_no_sandbox(server):
    with pytest.raises(ValueError, match="cobol"):
        asyncio.run(sandy.run_isolated_task("x", "cobol"))
    assert server.requests == []


def test_a_webapp_sandbox_serves_its_port(server):
    box = asyncio.run(sandy.create_webapp_sandbox(5000, ttl_minutes=2))
    assert (box.id, server.body(0)["expose_ports"], server.body(0)["ttl_seconds"]) == ("0123456789abcdef", [5000], 120)


def test_a_webapp_is_written_installed_started_and_awaited(server):
    box, url = asyncio.run(sandy.deploy_webapp({"a.js": "1", "b.js": b"2"}, "cd app && node index.js", install_command="npm install"))
    assert url == "https://0123456789abcdef.box.test:3000"
    assert server.called() == ["POST /api/sandboxes"] + ["POST /files/write"] * 2 + ["POST /exec"] * 3
    assert server.body(3)["command"] == "npm install"


def test_a_failed_install_tells_its_output_and_ends_the_sandbox(server):
    server.answers[f"POST {BOX}/exec"] = {"stdout": "", "stderr": "no such package", "exit_code": 1}
    with pytest.raises(sandy.SandyError, match="no such package") as caught:
        asyncio.run(sandy.deploy_webapp({}, "x", install_command="npm install"))
    assert caught.value.code == "install_failed"
    assert server.called()[-1] == "POST /terminate"


class Silent(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(404)

    def log_message(self, *_):
        pass


def wait_script(tmp_path, port, seconds=1):
    script = webapp._WAIT.format(port=port, seconds=seconds, exit=tmp_path / "exit")
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=30)


def test_waiting_ends_with_the_first_answer_whatever_it_says(tmp_path):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Silent) as listener:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        assert wait_script(tmp_path, listener.server_port, seconds=20).returncode == 0
        listener.shutdown()


def test_waiting_ends_at_once_when_the_command_failed(tmp_path):
    (tmp_path / "exit").write_text("7\n")
    ended = wait_script(tmp_path, 1, seconds=20)
    assert (ended.returncode, ended.stdout) == (1, "the start command ended with exit code 7\n")


def test_waiting_ends_when_nothing_answers(tmp_path):
    ended = wait_script(tmp_path, 1)
    assert (ended.returncode, ended.stdout) == (1, "nothing answered on port 1 within 1 seconds\n")


def test_agents_import_the_client_by_their_names():
    code = "from lib.sandy_client import SandyClient, create_webapp_sandbox, run_isolated_task; from lib.webapp_host import deploy_webapp"
    subprocess.run([sys.executable, "-c", code], cwd="/", env={"PYTHONPATH": str(Path(sandy.__file__).parents[1])}, check=True)
