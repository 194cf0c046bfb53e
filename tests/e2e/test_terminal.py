"""Terminals as a person at a keyboard, and several at one, see them."""

import base64
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time

import pytest
from running_server import PROGRAM
from service import Service, answer
from terminals import Terminal
from waiting import wait_until
from websockets.exceptions import InvalidStatus

PROMPT = r"ready> "
SHELL = "PS1='ready> ' exec bash --norc --noediting -i"


@pytest.fixture
def terminal(server, box):
    """Opens a viewer of the box: `terminal(command=...)`."""
    made = []

    def open_one(**query) -> Terminal:
        made.append(Terminal(server, box, **query))
        return made[-1]

    yield open_one
    for each in made:
        each.close()


def processes(api, box):
    return answer(api.http.get(f"/api/sandboxes/{box}/processes"))["processes"]


def test_the_users_shell_prompts_echoes_and_ends_with_its_code(api, box, terminal):
    shell = terminal()
    assert shell.ready == {"type": "ready", "id": shell.id, "offset": 0, "cols": 80, "rows": 24, "readonly": False}
    shell.see(r"[#$] ")
    shell.type("echo $((6*7)) $TERM; tty; pwd\n")
    shell.see(r"echo \$\(\(6\*7\)\).*\r\n.*42 xterm-256color\r\n/dev/pts/\d+\r\n/workspace\r\n")
    listed = processes(api, box)[0]
    assert (listed["pid"], listed["terminal"], listed["status"], listed["command"]) == (shell.id, True, "running", "/bin/bash")
    shell.type("exit 7\n")
    ending = shell.end()
    assert (ending["type"], ending["exitCode"], ending["signal"], shell.closed) == ("exit", 7, None, 1000)
    assert processes(api, box)[0]["exitCode"] == 7


def test_a_size_is_seen_inside_and_so_is_a_change(terminal):
    shell = terminal(command=SHELL, cols=132, rows=50)
    shell.see(PROMPT)
    shell.type("stty size\n")
    shell.see(r"50 132\r\n")
    shell.resize(101, 33)
    shell.type("stty size\n")
    shell.see(r"33 101\r\n")


def wait_until_runs(api, box, command: str):
    """A shell on its way to a program can lose an interrupt."""
    wait_until(lambda: command in api.output(box, "ps -eo args=").splitlines(), f"{command} runs")


def test_ctrl_c_interrupts_and_ctrl_d_ends(api, box, terminal):
    shell = terminal(command=SHELL)
    shell.see(PROMPT)
    shell.type("sleep 4243\n")
    wait_until_runs(api, box, "sleep 4243")
    shell.type("\x03")
    shell.see(PROMPT)
    shell.type("echo $?\n")
    shell.see(r"130\r\n")
    shell.see(PROMPT)
    shell.type("\x04")
    assert shell.end()["exitCode"] == 0


def test_a_full_screen_program_draws_and_follows_the_size(api, box, terminal):
    api.write(box, "/workspace/long", "".join(f"line {number}\n" for number in range(500)))
    # Draws with cursor movements over the whole screen, reads single keys, and redraws when the size changes.
    api.write(box, "/workspace/pager.py", """
import curses

def main(screen):
    lines, top = open("long").read().split("\\n"), 0
    while True:
        height, width = screen.getmaxyx()
        screen.clear()
        for row in range(height - 1):
            screen.addnstr(row, 0, lines[top + row], width - 1)
        screen.addnstr(height - 1, 0, f"at {top} of {height}x{width}", width - 1)
        key = screen.getch()
        if key == ord("q"):
            return
        top += {ord(" "): height - 1, curses.KEY_DOWN: 1}.get(key, 0)

curses.wrapper(main)
""")
    pager = terminal(command="python3 pager.py", cols=60, rows=12)
    pager.see(r"\x1b\[\?1049h.*line 0.*at 0 of 12x60")
    pager.type(" ")
    pager.see(r"line 21.*at 11 of 12x60")
    pager.type("\x1bOB")  # the cursor key, as terminals send it to programs that asked for it
    pager.see(r"line 22.*at 12 of 12x60")
    pager.resize(100, 30)
    pager.see(r"line 40.*at 12 of 30x100")
    pager.type("q")
    assert pager.end()["exitCode"] == 0 and b"\x1b[?1049l" in pager.printed


def test_a_viewer_that_comes_back_gets_the_rest_to_the_byte(api, box, terminal):
    command = "stty -opost; for i in $(seq 2000); do echo line $i; [ $((i % 100)) = 0 ] && sleep 0.02; done"
    first = terminal(command=command)
    first.see(r"line 300\n")
    first.close()
    second = terminal(id=first.id, offset=first.offset)
    assert second.ready["offset"] == first.offset
    assert second.end()["exitCode"] == 0
    whole = b"".join(b"line %d\n" % number for number in range(1, 2001))
    assert first.printed + second.printed == whole
    # And again from anywhere, although it has ended.
    third = terminal(id=first.id)
    assert third.end()["exitCode"] == 0 and third.printed == whole
    assert terminal(id=first.id, offset=len(whole)).end()["exitCode"] == 0
    with pytest.raises(InvalidStatus) as refused:
        terminal(id=first.id, offset=len(whole) + 1)
    assert refused.value.response.status_code == 400


def test_two_viewers_see_and_type_and_a_third_only_looks(api, box, terminal):
    one = terminal(command=SHELL)
    one.see(PROMPT)
    two = terminal(id=one.id, offset=0)
    looking = terminal(id=one.id, readonly=1)
    assert looking.ready["readonly"] is True
    for viewer in (two, looking):
        viewer.see(PROMPT)
    one.type("echo from-$((1))\n")
    for viewer in (one, two, looking):
        viewer.see(r"from-1\r\n")
    looking.type("echo from-$((3))\n")
    looking.tell(type="input", data="echo from-$((3))\n")
    looking.resize(10, 10)
    two.tell(type="input", data="echo from-$((2)); stty size\n")
    for viewer in (one, two, looking):
        viewer.see(r"from-2\r\n24 80\r\n")
        assert b"from-3" not in viewer.printed and b"$((3))" not in viewer.printed


def test_a_slow_viewer_slows_nobody_and_hears_what_it_missed(api, box, terminal):
    fast = terminal(command="stty -opost; read -r go; yes 0123456789abcde | head -c 40000000; echo end")
    slow = terminal(id=fast.id)
    fast.type("go\n")
    fast.see(r"end\n", 60)
    assert fast.end()["exitCode"] == 0
    assert slow.end(60)["exitCode"] == 0
    missed = sum(each["bytes"] for each in slow.messages if each["type"] == "missed")
    assert missed > 0 and slow.offset == fast.offset > 40_000_000
    assert slow.printed.endswith(b"0123456789abcde\nend\n")


def test_a_huge_paste_is_held_back_and_others_go_on(api, box, terminal):
    deaf = terminal(command="stty raw -echo; echo deaf; sleep 1000")
    deaf.see("deaf")

    def paste():
        try:
            for _ in range(1000):
                deaf.socket.send(b"x" * 60000)
        except Exception:
            pass  # it ends with the terminal

    pasting = threading.Thread(target=paste)
    pasting.start()
    other = terminal(command=SHELL)
    other.see(PROMPT)
    other.type("echo qu''ick\n")
    other.see("quick")
    pasting.join(1)
    assert pasting.is_alive()  # 60 MB did not disappear into somebody's memory
    answer(api.http.post(f"/api/sandboxes/{box}/processes/{deaf.id}/signal", json={"signal": "KILL"}))
    ending = deaf.end()
    assert (ending["exitCode"], ending["signal"]) == (137, 9)
    deaf.close()
    pasting.join(30)
    assert not pasting.is_alive()


def test_a_key_may_be_a_subprotocol_and_is_in_no_log(server, box):
    key = base64.urlsafe_b64encode(server.api_key.encode()).decode().rstrip("=")
    with Terminal(server, box, headers={}, subprotocols=["sandy.terminal", f"sandy.bearer.{key}"], command="echo hi") as viewer:
        assert viewer.socket.subprotocol == "sandy.terminal"
        assert viewer.end()["exitCode"] == 0
    log = server.log.read_text()
    assert key not in log and server.api_key not in log


@pytest.mark.parametrize("headers, subprotocols, status", [
    ({}, None, 401), ({"Authorization": "Bearer wrong"}, None, 401), ({}, ["sandy.terminal", "sandy.bearer.d3Jvbmc"], 401),
])  # fmt: skip
def test_a_wrong_key_is_refused_before_the_upgrade(server, box, headers, subprotocols, status):
    with pytest.raises(InvalidStatus) as refused:
        Terminal(server, box, headers=headers, subprotocols=subprotocols)
    assert refused.value.response.status_code == status
    assert json.loads(refused.value.response.body)["detail"]


def test_what_cannot_be_is_refused_before_the_upgrade(server, api, box):
    plain = api.start(box, "sleep 1000")["pid"]
    for query, status in [({"id": 999}, 404), ({"id": plain}, 409), ({"cols": 0}, 400), ({"cwd": "/no/such"}, 400), ({"id": "x"}, 404)]:
        with pytest.raises(InvalidStatus) as refused:
            Terminal(server, box, **query)
        assert refused.value.response.status_code == status, query
    with pytest.raises(InvalidStatus) as refused:
        Terminal(server, "0123456789abcdef")
    assert refused.value.response.status_code == 404
    answer(api.http.post(f"/api/sandboxes/{box}/pause"))
    with pytest.raises(InvalidStatus) as refused:
        Terminal(server, box)
    assert refused.value.response.status_code == 409
    answer(api.http.post(f"/api/sandboxes/{box}/resume"))


def test_another_tenants_terminal_is_unknown(server, sandyd):
    """A key of one server is none of another: what it answers must not differ from an id that never was."""
    with Service(server.base_url, server.api_key) as api, api.box() as box:
        stranger = sandyd()
        with pytest.raises(InvalidStatus) as refused:
            Terminal(stranger, box)
        assert refused.value.response.status_code == 404


def test_a_sandbox_that_ends_tells_its_viewers(api, server):
    with api.box() as box, Terminal(server, box, command="echo here; sleep 1000") as viewer:
        viewer.see("here")
        api.terminate(box)
        ending = viewer.end()
        assert (ending["type"], ending["code"], viewer.closed) == ("error", "sandbox_ended", 1001)


def test_a_server_that_stops_says_good_bye_and_the_terminal_lives_on(sandyd):
    server = sandyd("--shutdown-grace", "30s")  # much longer than a good-bye takes
    with Service(server.base_url, server.api_key) as api:
        box = api.create(ttl_seconds=600)["sandboxId"]
        with Terminal(server, box, command=SHELL) as viewer:
            viewer.see(PROMPT)
            server.process.terminate()
            viewer.end()
            assert viewer.closed == 1001
            assert server.process.wait(20) == 0
    server.start()
    with Terminal(server, box, id=viewer.id, offset=viewer.offset) as again:
        again.type("echo $((6*7))\n")
        again.see("42")


def test_a_killed_server_leaves_terminals_as_they_are(sandyd):
    server = sandyd()
    with Service(server.base_url, server.api_key) as api:
        box = api.create(ttl_seconds=600)["id"]
    viewer = Terminal(server, box, command=SHELL)
    viewer.see(PROMPT)
    viewer.type("value=kept; (sleep 0.5; echo mean''while) &\n")
    viewer.see(PROMPT)
    server.kill()
    viewer.end()
    assert viewer.closed == 1006
    server.start()
    with Terminal(server, box, id=viewer.id, offset=viewer.offset) as again:
        again.see("meanwhile")
        again.type("echo $value-$((1+1))\n")
        again.see("kept-2")
        again.type("exit 3\n")
        assert again.end()["exitCode"] == 3


def test_a_shell_that_is_hung_up_on_goes_on(api, box, server):
    with Terminal(server, box, command=SHELL) as viewer:
        viewer.see(PROMPT)
        viewer.type("echo x > /tmp/seen; sleep 1000\n")
        number = viewer.id
    wait_until(lambda: api.exec(box, "test -s /tmp/seen")["exitCode"] == 0, "what was typed last arrives")
    assert processes(api, box)[0]["status"] == "running"
    answer(api.http.post(f"/api/sandboxes/{box}/processes/{number}/signal", json={"signal": "HUP"}))
    with Terminal(server, box, id=number) as viewer:
        assert viewer.end()["signal"] == 1
    wait_until(lambda: api.exec(box, "pgrep -f '[s]leep 1000'")["exitCode"] == 1, "what it ran is gone")


def test_a_message_that_makes_no_sense_ends_its_viewer_only(api, box, terminal):
    shell = terminal(command=SHELL)
    shell.see(PROMPT)
    other = terminal(id=shell.id)
    other.tell(type="dance")
    other._read_until(lambda: False)
    assert other.closed == 1008
    shell.type("echo st''ill\n")
    shell.see("still")


def test_many_viewers_are_bounded_by_the_tenants_streams(sandyd):
    server = sandyd("--tenant-streams", "3")
    with Service(server.base_url, server.api_key) as api, api.box() as box:
        held = [Terminal(server, box, command="sleep 1000") for _ in range(3)]
        with pytest.raises(InvalidStatus) as refused:
            Terminal(server, box, id=held[0].id)
        assert refused.value.response.status_code == 429
        held.pop().close()
        wait_until(lambda: attached(server, box, held[0].id), "a place is free again")
        for each in held:
            each.close()


def attached(server, box, number) -> bool:
    try:
        with Terminal(server, box, id=number):
            return True
    except InvalidStatus:
        return False


# -- sandy shell ---------------------------------------------------------------------------------------------


class Keyboard:
    """`sandy` on a terminal of its own, as a person starts it."""

    def __init__(self, server, *arguments, rows=30, cols=100):
        self.master, slave = pty.openpty()
        self.resize(rows, cols)
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        environment = {**os.environ, "SANDY_BASE_URL": server.base_url, "SANDY_API_KEY": server.api_key}
        self.program = subprocess.Popen([PROGRAM.parent / "sandy", "shell", *map(str, arguments)], stdin=slave, stdout=slave, stderr=slave,
                                        env=environment, start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))  # fmt: skip
        self.printed = b""

    def resize(self, rows, cols):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def type(self, text):
        os.write(self.master, text.encode())

    def see(self, pattern):
        deadline = time.monotonic() + 20
        while not (found := re.search(pattern.encode(), self.printed, re.S)):
            assert select.select([self.master], [], [], max(0, deadline - time.monotonic()))[0], (pattern, self.printed[-1000:])
            self.printed += os.read(self.master, 65536)
        self.printed = self.printed[found.end():]  # fmt: skip

    def end(self) -> int:
        code = self.program.wait(20)
        assert termios.tcgetattr(self.slave) == self.before, "the terminal is left as it was"
        os.close(self.slave)
        os.close(self.master)
        return code


def test_the_command_line_is_a_terminal_inside(api, box, server):
    own = Keyboard(server, box)
    own.see(r"[#$] ")
    assert termios.tcgetattr(own.slave) != own.before
    own.type("stty size; echo in-$(hostname)\r")
    own.see(r"\n.*30 100\r\nin-")
    own.resize(40, 120)
    own.type("stty size\r")
    own.see(r"\n.*40 120\r\n")
    own.type("sleep 4242\r")
    wait_until_runs(api, box, "sleep 4242")
    own.type("\x03")
    own.see(r"\^C")
    own.see(r"[#$] ")  # before, the shell may forget what is typed
    own.type("exit 9\r")
    assert own.end() == 9


def test_the_command_line_runs_a_command_and_attaches_again(api, box, server):
    first = Keyboard(server, box, "--", "bash", "--norc", "-c", "echo be''gun; read -r x; echo got-$x; exit 4")
    first.see("begun")
    number = processes(api, box)[0]["pid"]
    first.program.send_signal(signal.SIGTERM)
    assert first.end() == 128 + signal.SIGTERM
    again = Keyboard(server, box, "--attach", number)
    again.see("begun")
    again.type("this\r")
    again.see("got-this")
    assert again.end() == 4


def test_the_command_line_takes_input_that_is_no_keyboard(box, server):
    environment = {**os.environ, "SANDY_BASE_URL": server.base_url, "SANDY_API_KEY": server.api_key}
    for given in ({"input": b"echo sum-$((20+3))\nexit 6\n"}, {"stdin": subprocess.DEVNULL}):
        run = subprocess.run([PROGRAM.parent / "sandy", "shell", box], env=environment, capture_output=True, timeout=30, **given)
        assert run.returncode == (6 if "input" in given else 0), run.stderr
        assert (b"sum-23" in run.stdout) == ("input" in given)


def test_the_command_line_says_why_it_cannot(box, server):
    environment = {**os.environ, "SANDY_BASE_URL": server.base_url, "SANDY_API_KEY": server.api_key}
    run = subprocess.run([PROGRAM.parent / "sandy", "shell", box, "--attach", "999"], env=environment, capture_output=True, timeout=30)
    assert run.returncode == 125 and b"404" in run.stderr and b"process" in run.stderr.lower()
