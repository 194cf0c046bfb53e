"""The image desktop: what it shows, the ways to it, and that it is kept running until it is ended."""

import contextlib
import json
from pathlib import Path

import pytest
from waiting import wait_until

BACKGROUND = "33475b"
END = "pkill -TERM -f /usr/local/bin/sandy-desktop"
# Counts in what the browser keeps of a page how often it was opened.
PAGE = "<script>document.title = 'visit ' + (localStorage.visits = 1 + Number(localStorage.visits || 0))</script>"


@contextlib.contextmanager
def desktop(api, box: str, arguments: str = "", **fields):
    """A desktop that is ready, ended with the block."""
    api.output(box, "rm -f /tmp/said")
    api.start(box, f"exec sandy-desktop {arguments} >/tmp/said 2>/tmp/complaints", **fields)
    wait_until(lambda: api.output(box, "cat /tmp/said || true") == "ready\n", "the desktop is ready", 30)
    try:
        yield
    finally:
        api.exec(box, END)  # unless the test has
        wait_until(lambda: api.exec(box, "pgrep -f /usr/local/bin/sandy-desktop")["exitCode"] == 1, "it ends")


def look(api, box: str, port: int, way: str = "") -> dict:
    return json.loads(api.output(box, f"python3 /tmp/vnc_viewer.py {port} {way}"))


def running(api, box: str) -> str:
    return api.output(box, "ps -eo comm= | grep -E 'Xvfb|openbox|x11vnc|websockify|xterm|chromium' || true")


@pytest.fixture(scope="module")
def desktop_box(api):
    """A sandbox with the limits that a caller gets who asks for none."""
    with api.box(image="desktop") as made:
        api.write(made, "/tmp/vnc_viewer.py", (Path(__file__).parent / "vnc_viewer.py").read_text())
        yield made


def test_a_viewer_sees_the_desktop_by_either_way(api, desktop_box):
    with desktop(api, desktop_box):
        shown = {"version": "RFB 003.008", "kinds": [1], "size": [1280, 720], "corner": BACKGROUND}
        wait_until(lambda: look(api, desktop_box, 5900) == shown, "it has its background")
        assert look(api, desktop_box, 7900, "websocket") == shown


def test_its_pages_show_it_in_a_browser(api, desktop_box):
    with desktop(api, desktop_box):
        fetch = "curl -sS --fail http://127.0.0.1:7900"
        assert "vnc.html" in api.output(desktop_box, f"{fetch}/")
        assert "noVNC" in api.output(desktop_box, f"{fetch}/vnc.html")
        assert "class RFB" in api.output(desktop_box, f"{fetch}/core/rfb.js")


def test_only_the_sandbox_itself_reaches_it(api, desktop_box):
    with desktop(api, desktop_box):
        # addresses and ports of sockets that listen, in hexadecimal; the server has some in every sandbox
        listening = api.output(desktop_box, "cat /proc/net/tcp /proc/net/tcp6 | awk '$4 == \"0A\" {print $2}'")
        places = {each.rsplit(":", 1)[0] for each in listening.split() if each.endswith((":170C", ":1EDC"))}
        assert "0100007F" in places and places <= {"0100007F", "00000000000000000000000001000000"}


def test_a_screenshot_has_its_windows(api, desktop_box):
    with desktop(api, desktop_box):
        api.start(desktop_box, "exec xterm -geometry 80x24+200+100 -title 'a terminal'")
        wait_until(lambda: api.exec(desktop_box, "xdotool search --onlyvisible --name '^a terminal$'")["exitCode"] == 0, "it shows")
        size = "import struct; print(*struct.unpack('>II', open('/tmp/screen.png', 'rb').read(24)[16:]))"
        assert api.output(desktop_box, f"scrot --overwrite /tmp/screen.png && python3 -c \"{size}\"") == "1280 720\n"


@pytest.mark.parametrize("program", ["Xvfb", "openbox", "x11vnc", "websockify"])
def test_what_dies_comes_back(api, desktop_box, program):
    with desktop(api, desktop_box):
        find = f"pgrep --oldest {program}"
        old = api.output(desktop_box, find)
        api.output(desktop_box, f"pkill -KILL {program}")

        def is_back():
            now = api.exec(desktop_box, find)
            return now["exitCode"] == 0 and now["stdout"] != old and \
                api.exec(desktop_box, "python3 /tmp/vnc_viewer.py 7900 websocket")["exitCode"] == 0

        wait_until(is_back, "the desktop is whole again")
        assert "starting it again" in api.output(desktop_box, "cat /tmp/complaints")


@pytest.mark.parametrize("signal", ["TERM", "INT", "KILL"])
def test_nothing_is_left_when_it_is_ended(api, desktop_box, signal):
    with desktop(api, desktop_box):
        api.start(desktop_box, "exec xdotool exec xterm")
        wait_until(lambda: "xterm" in running(api, desktop_box), "a window is open")
        api.output(desktop_box, END.replace("TERM", signal))
        wait_until(lambda: running(api, desktop_box) == "", "all of it ends")
    with desktop(api, desktop_box):  # and nothing is in the way of the next
        assert look(api, desktop_box, 5900)["size"] == [1280, 720]


def test_its_settings_come_from_the_environment(api, desktop_box):
    env = {"SANDY_VNC_RESOLUTION": "800x600", "SANDY_VNC_RFB_PORT": "5999", "SANDY_VNC_PORT": "8900"}
    with desktop(api, desktop_box, env=env):
        assert look(api, desktop_box, 5999)["size"] == look(api, desktop_box, 8900, "websocket")["size"] == [800, 600]


@pytest.mark.parametrize("arguments", ["--resolution 800", "--resolution 1x1", "--port 0", "--rfb-port x", "--unknown"])
def test_what_it_cannot_be_it_refuses(api, desktop_box, arguments):
    refused = api.exec(desktop_box, f"sandy-desktop {arguments}")
    assert refused["exitCode"] == 2 and "usage" in refused["stderr"]


def test_there_is_one_desktop(api, desktop_box):
    with desktop(api, desktop_box):
        assert "runs already" in api.exec(desktop_box, "sandy-desktop")["stderr"]
        assert look(api, desktop_box, 5900)["size"] == [1280, 720]


def test_the_browser_keeps_what_it_knows(api):
    with api.box(image="desktop", resources={"memory_mb": 2048}) as box:
        api.write(box, "/tmp/page.html", PAGE)
        for visit in (1, 2):
            with desktop(api, box, "--browser file:///tmp/page.html --profile /workspace/profile"):
                find = f"xdotool search --onlyvisible --name '^visit {visit} '"
                wait_until(lambda: api.exec(box, find)["exitCode"] == 0, "the page is open", 40)
            assert running(api, box) == ""
