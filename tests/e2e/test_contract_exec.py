"""POST .../exec: the behaviour clients depend on (rules 1 to 11 of the contract)."""

import base64
import hashlib
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from service import Service, answer, refusal
from waiting import wait_until

TOOLS = (
    "bash stat base64 find tar gzip curl git pgrep pkill nohup ps apt-get python3 pip3 node npm printenv sha256sum env dd tail"
).split()


def is_running(api, box, pattern) -> bool:
    # The brackets keep the pattern from finding the command that asks.
    return api.exec(box, f"pgrep -f '[{pattern[0]}]{pattern[1:]}'")["exitCode"] == 0


# -- 1: any outcome is 200 -----------------------------------------------------------------------------------


@pytest.mark.parametrize("command, code", [
    ("true", 0), ("exit 3", 3), ("false", 1), ("no-such-command", 127), ("kill -9 $$", 137), ("kill -TERM $$", 143),
    ("kill -SEGV $$", 139), ("exit 255", 255), ("if", 2), ("/etc/passwd", 126), ("", 0), ("set -e; false; echo no", 1),
])  # fmt: skip
def test_any_outcome_is_200_with_its_code(api, shared_box, command, code):
    result = api.exec(shared_box, command)
    assert type(result["exitCode"]) is int and result["exitCode"] == result["exit_code"] == code
    assert isinstance(result["stdout"], str) and isinstance(result["stderr"], str)
    assert result["timedOut"] is result["timed_out"] is False
    assert type(result["durationMs"]) is int and result["durationMs"] == result["duration_ms"] >= 0


def test_a_command_that_is_not_found_is_named(api, shared_box):
    assert "no-such-command" in api.exec(shared_box, "no-such-command")["stderr"]


# -- 2: kills that hit the shell itself ----------------------------------------------------------------------


@pytest.mark.parametrize("command", ["pkill -f vite", "pkill -f vite || true", "pkill -f 'vite|node' ; true"])
def test_a_shell_that_kills_by_pattern_answers_whether_or_not_it_hits_itself(api, shared_box, command):
    assert api.exec(shared_box, command)["exitCode"] in (0, 1, 143)


def test_a_shell_that_kills_its_own_group_is_143_and_the_sandbox_lives(api, shared_box):
    assert api.exec(shared_box, "echo before; kill -TERM 0; sleep 60; echo after")["exitCode"] == 143
    assert api.output(shared_box, "echo alive") == "alive\n"


# -- 3: background children ----------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [
    "nohup sleep 4011 > log 2>&1 &", "sh -c 'sleep 4012 &'", "( while true; do sleep 4013; done ) > log 2>&1 &",
    "sleep 4014 &", "sleep 4015 & echo started", "setsid sleep 4016 >/dev/null 2>&1 < /dev/null &",
])  # fmt: skip
def test_a_background_child_lives_on_and_nobody_waits_for_it(api, shared_box, command):
    started = time.monotonic()
    result = api.exec(shared_box, command)
    assert result["exitCode"] == 0 and time.monotonic() - started < 3
    name = "sleep 40" + command.split("sleep 40")[1][:2]
    assert is_running(api, shared_box, name)


def test_output_before_the_end_is_whole_although_a_child_holds_the_pipe(api, shared_box):
    result = api.exec(shared_box, "sleep 4017 & head -c 3000000 /dev/zero | tr '\\0' x; echo end >&2")
    assert result["stdout"] == "x" * 3000000 and result["stderr"] == "end\n"


def test_a_server_started_in_the_background_serves_the_next_command(api, box):
    api.exec(box, "mkdir -p web && echo hello > web/index.html && cd web && nohup python3 -m http.server 8123 > ../log 2>&1 &")
    fetch = "curl -s http://127.0.0.1:8123/index.html"
    assert wait_until(lambda: api.exec(box, fetch)["stdout"], "the server inside answers") == "hello\n"


# -- 4: timeouts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [
    {"timeoutMs": 400}, {"timeout_ms": 400}, {"timeout": 0.4}, {"timeoutMs": "400"}, {"timeout": "0.4"},
    {"timeoutMs": 400, "timeout": 60}, {"timeoutMs": None, "timeout": 0.4}, {"timeoutMs": 400.0},
])  # fmt: skip
def test_a_timeout_is_200_with_124_and_says_so(api, shared_box, fields):
    started = time.monotonic()
    result = api.exec(shared_box, "echo begun; echo trouble >&2; sleep 60", **fields)
    assert 0.3 < time.monotonic() - started < 5
    assert result["exitCode"] == result["exit_code"] == 124
    assert result["stdout"] == "begun\n"
    assert result["stderr"].startswith("trouble\n") and "Command timed out" in result["stderr"]
    assert result["timedOut"] is result["timed_out"] is True


def test_seconds_are_never_taken_for_milliseconds(api, shared_box):
    assert api.output(shared_box, "sleep 1; echo done", timeout=30) == "done\n"


def test_a_timeout_ends_everything_the_command_started(api, shared_box):
    command = "trap '' TERM; bash -c 'sleep 4021 & setsid sleep 4022 & sleep 4023' & sleep 4024"
    assert api.exec(shared_box, command, timeoutMs=500)["exitCode"] == 124
    wait_until(lambda: not is_running(api, shared_box, "sleep 402"), "the process tree is gone")


# -- 5: output is exact --------------------------------------------------------------------------------------


def test_twenty_mebibytes_arrive_exactly(api, shared_box):
    size = 20 * 1024 * 1024
    result = api.exec(shared_box, f"yes 0123456789abcdef | head -c {size}")
    expected = ("0123456789abcdef\n" * (size // 17 + 1))[:size]
    assert result["exitCode"] == 0 and len(result["stdout"]) == size and result["stdout"] == expected
    assert not result.get("truncated")


@pytest.mark.parametrize("octal, text", [
    ("a", "a"), ("a\\n\\n", "a\n\n"), ("  \\t a \\r\\n", "  \t a \r\n"), ("a\\000b", "a\0b"), ("gr\\303\\274\\303\\237e", "grüße"),
    ("\\360\\237\\230\\200", "\U0001f600"), ("\\377\\376ab\\303", "\ufffd\ufffdab\ufffd"), ("\\303(", "\ufffd("),
    ("\\033[31m\\001\\177", "\x1b[31m\x01\x7f"), ("\\342\\200\\250", "\u2028"), ('\\"\\\\', '"\\'),
    ("\\355\\240\\200x", "\ufffd\ufffd\ufffdx"), ("\\300\\200", "\ufffd\ufffd"), ("\\364\\220\\200\\200", "\ufffd" * 4),
])  # fmt: skip
def test_bytes_arrive_as_written_and_what_is_no_utf8_is_replaced(api, shared_box, octal, text):
    result = api.exec(shared_box, f"printf '{octal}'; printf '{octal}{octal}' >&2")
    assert (result["stdout"], result["stderr"]) == (text, text + text)


def test_binary_files_come_through_base64(api, shared_box):
    api.exec(shared_box, "head -c 1500000 /dev/urandom > /tmp/blob")
    data = base64.b64decode(api.output(shared_box, "base64 -w0 /tmp/blob"))
    assert hashlib.sha256(data).hexdigest() == api.output(shared_box, "sha256sum /tmp/blob").split()[0]


# -- 6: long commands and standard input ---------------------------------------------------------------------


def test_a_command_of_a_megabyte_runs(api, shared_box):
    data = bytes(range(256)) * 3072
    command = f"echo '{base64.b64encode(data).decode()}' | base64 -d > /tmp/long && wc -c < /tmp/long && sha256sum /tmp/long"
    assert len(command) > 1_000_000
    size, digest = api.output(shared_box, command).split()[:2]
    assert int(size) == len(data) and digest == hashlib.sha256(data).hexdigest()


def test_here_documents_quotes_and_several_lines_are_one_script(api, shared_box):
    command = "cat <<'EOF' > /tmp/doc\nit's \"$HOME\" `date` \\ grüße\nEOF\ncat /tmp/doc && x=$(echo 'a  b'); echo \"$x\" | tr a c"
    assert api.output(shared_box, command) == "it's \"$HOME\" `date` \\ grüße\nc  b\n"


def test_standard_input_is_empty(api, shared_box):
    assert api.output(shared_box, "cat; read line || echo end; python3 -c 'import sys; print(repr(sys.stdin.read()))'") == "end\n''\n"


# -- 7: environment and directory ----------------------------------------------------------------------------


def test_the_environment_is_that_of_a_login(api, shared_box):
    home, path, lang, user = api.output(shared_box, 'echo "$HOME"; echo "$PATH"; echo "$LANG"; id -un').splitlines()
    assert (home, user) == ("/root", "root") and "UTF-8" in lang.upper().replace("UTF8", "UTF-8")
    folders = path.split(":")
    assert all(each in folders for each in ("/root/.local/bin", "/usr/local/bin", "/usr/bin", "/bin"))


def test_a_command_s_environment_wins_over_the_sandbox_s(api):
    with api.box(env={"A": "box", "B": "box", "PATH": "/opt/mine:/usr/bin:/bin"}) as box:
        assert api.output(box, "echo $A $B", env={"B": "call"}) == "box call\n"
        assert api.output(box, "echo $A $B", env={}) == "box box\n"
        assert api.output(box, "echo $PATH").startswith("/opt/mine:")


@pytest.mark.parametrize("spelling", ["env", "envVars", "env_vars"])
def test_the_environment_has_three_spellings(api, shared_box, spelling):
    fields = {spelling: {"HOME": "/workspace", "LONG": "x" * 100_000, "LINES_": "a\nb"}}
    assert api.output(shared_box, "echo $HOME ${#LONG}; echo \"$LINES_\"", **fields) == "/workspace 100000\na\nb\n"


@pytest.mark.parametrize("fields, directory", [
    ({}, "/workspace"), ({"cwd": "/tmp"}, "/tmp"), ({"working_directory": "/tmp"}, "/tmp"), ({"workdir": "/tmp"}, "/tmp"),
    ({"cwd": "sub/dir"}, "/workspace/sub/dir"), ({"cwd": None}, "/workspace"),
])  # fmt: skip
def test_the_directory_is_absolute_or_below_the_workspace(api, shared_box, fields, directory):
    api.exec(shared_box, "mkdir -p sub/dir")
    assert api.output(shared_box, "pwd", **fields) == directory + "\n"


def test_a_directory_that_does_not_exist_is_named_and_is_not_the_sandbox_s_end(api, shared_box):
    response = api.http.post(f"/api/sandboxes/{shared_box}/exec", json={"command": "pwd", "cwd": "/no/such/dir"})
    detail = refusal(response, (400, 404, 422))
    assert "/no/such/dir" in detail and "sandbox not found" not in detail.lower()


@pytest.mark.parametrize("tool", TOOLS)
def test_the_tools_commands_take_for_granted_are_there(api, shared_box, tool):
    assert api.output(shared_box, f"command -v {tool}")


def test_gnu_forms_of_tools_work(api, shared_box):
    assert api.output(shared_box, "stat -c %s /etc/hostname | tail -c 5 >/dev/null; find /etc -mindepth 1 -maxdepth 1 -name hosts -printf '%f\\n'") == "hosts\n"
    major = api.output(shared_box, "node --version")
    assert int(major.lstrip("v").split(".")[0]) >= 18


# -- 8: several at once --------------------------------------------------------------------------------------


def test_commands_run_at_the_same_time(api, box):
    started = time.monotonic()
    with ThreadPoolExecutor(12) as pool:
        outputs = list(pool.map(lambda number: api.output(box, f"sleep 1; echo {number}"), range(12)))
    assert outputs == [f"{number}\n" for number in range(12)]
    assert time.monotonic() - started < 6


# -- 9: ready when it says so --------------------------------------------------------------------------------


def test_a_new_sandbox_never_says_that_it_is_not_ready(api):
    def create_and_run(_):
        with api.box() as box:
            return api.output(box, "echo ready")

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(create_and_run, range(8))) == ["ready\n"] * 8


# -- 10: clients that hang up --------------------------------------------------------------------------------


def test_a_command_whose_client_hangs_up_runs_on(server, api, box):
    address = urlsplit(server.base_url)
    body = json.dumps({"command": "touch /workspace/begun; sleep 1; echo whole > /workspace/done", "timeoutMs": 20000}).encode()
    head = f"POST /api/sandboxes/{box}/exec HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.api_key}\r\n"
    with socket.create_connection((address.hostname, address.port)) as client:
        client.sendall(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        wait_until(lambda: api.exec(box, "test -e begun")["exitCode"] == 0, "the command has begun")
    assert wait_until(lambda: api.exec(box, "cat done")["stdout"], "the command runs to its end") == "whole\n"


# -- 11: odd commands ----------------------------------------------------------------------------------------


def test_a_script_the_interpreter_rejects_is_an_ordinary_outcome(api, shared_box):
    result = api.exec(shared_box, 'python3 -c "import json\\nprint(json.dumps({}))"')
    assert result["exitCode"] == 1 and result["stdout"] == "" and "SyntaxError" in result["stderr"]


# -- requests that make no sense -----------------------------------------------------------------------------


@pytest.mark.parametrize("body, status", [
    ({}, 422), ({"command": None}, 422), ({"command": 7}, 422), ({"command": ["ls"]}, 422),
    ({"command": "true", "timeoutMs": "soon"}, (400, 422)),
    ({"command": "true", "env": [1]}, (400, 422)), ({"command": "true", "env": {"A=B": "c"}}, (400, 422)),
    ({"command": "true", "cwd": 7}, (400, 422)), ({"command": "echo \0"}, (400, 422)),
])  # fmt: skip
def test_a_request_that_makes_no_sense_is_refused(api, shared_box, body, status):
    refusal(api.http.post(f"/api/sandboxes/{shared_box}/exec", json=body), status)


def test_fields_nobody_knows_are_ignored(api, shared_box):
    assert api.output(shared_box, "echo fine", shell="zsh", nobody={"knows": 1}) == "fine\n"


def test_clients_with_connections_of_their_own_do_not_wait_for_each_other(server, api, box):
    with Service(server.base_url, server.api_key) as slow, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(slow.exec, box, "while ! test -e go; do sleep 0.05; done; echo went")
        started = time.monotonic()
        assert answer(api.http.get("/api/health"))["status"] == "ok" and api.output(box, "touch go") == ""
        assert time.monotonic() - started < 2
        assert waiting.result(10)["stdout"] == "went\n"
