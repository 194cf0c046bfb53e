"""A sandbox with a desktop, seen from outside: noVNC's page in a real browser, through each way to it."""

import base64

import agents
import pytest
from browser import chromium, tab
from service import answer, refusal
from waiting import wait_until
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

BACKGROUND, GREEN = (0x33, 0x47, 0x5B), (0x00, 0xFF, 0x00)
# How much of a picture has a colour. The page reads the picture, because a browser can.
SHARE = """async ([picture, wanted]) => {
  const image = new Image();
  image.src = "data:image/png;base64," + picture;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.width, image.height];
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, image.width, image.height);
  let found = 0;
  for (let at = 0; at < data.length; at += 4)
    found += wanted.every((each, i) => Math.abs(data[at + i] - each) < 8);
  return found / (image.width * image.height);
}"""


@pytest.fixture(scope="module")
def box(api):
    with api.box(enableVnc=True) as made:
        wait_until(lambda: vnc(api, made)["ready"], "the desktop shows", 60)
        yield made


def vnc(api, box: str) -> dict:
    return answer(api.http.get(f"/api/sandboxes/{box}/vnc"))


def share(page, colour: tuple, picture: str) -> float:
    """Takes a screenshot, which stays in the file."""
    page.screenshot(path=picture)
    with open(picture, "rb") as file:
        return page.evaluate(SHARE, [base64.b64encode(file.read()).decode(), list(colour)])


def test_a_browser_shows_the_desktop_and_types_on_it(api, box, tmp_path):
    picture = str(tmp_path / "desktop.png")
    with chromium() as browser, tab(browser, viewport={"width": 1280, "height": 720}) as opened:
        page = opened.page
        page.goto(vnc(api, box)["url"])
        wait_until(lambda: share(page, BACKGROUND, picture) > 0.9, "the empty desktop is seen", 30)
        api.start(box, "exec xterm -geometry 80x24+100+100 -bg '#00ff00' -fg black")
        wait_until(lambda: 0.1 < share(page, GREEN, picture) < 0.8, "a green window is seen", 30)
        page.mouse.click(300, 250)
        page.keyboard.type("echo typed >/workspace/seen")
        page.keyboard.press("Enter")
        wait_until(lambda: api.exec(box, "cat /workspace/seen")["stdout"] == "typed\n", "what is typed arrives", 30)


@pytest.mark.parametrize("way", ["own port", "host", "host, short", "api"])
def test_every_way_to_its_websocket_speaks_rfb(api, box, way):
    seen = vnc(api, box)
    base = str(api.http.base_url).rstrip("/").replace("http", "ws", 1)
    host = {"Host": answer(api.get(box))["host"]}
    url, headers = {
        "own port": (seen["websocketUrl"].replace("wss:", "ws:"), {}), "host": (f"{base}/websockify", host),
        "host, short": (f"{base}/vnc", host), "api": (base + seen["path"], {}),
    }[way]  # fmt: skip
    if way == "own port":
        headers, url = {"X-Sandy-Host": url.split("/")[2].split(":")[0]}, f"{base}/websockify"
    if "Host" in headers:
        headers = {"X-Sandy-Host": headers["Host"]}
    with connect(url, subprotocols=["binary"], additional_headers=headers) as socket:
        assert socket.subprotocol == "binary"
        assert socket.recv(timeout=20).startswith(b"RFB 003.")


def test_what_a_sandbox_says_of_its_desktop_is_what_there_is(api, box):
    about = answer(api.get(box))
    seen = vnc(api, box)
    assert about["image"] == "desktop" and about["vnc"]["enabled"] is True and about["vncPort"] == about["vnc"]["port"] == 5900
    assert about["capabilities"]["vnc"] is True and 7900 in about["expose_ports"]
    assert (seen["resolution"], seen["passwordRequired"], seen["path"]) == ("1280x720", False, f"/vnc/{box}/websockify")
    assert f"7900-{box}." in seen["url"]


def test_without_a_desktop_there_is_no_way_to_one(api):
    with api.box() as plain:
        seen = vnc(api, plain)
        assert seen["enabled"] is False and seen["url"] is None
        refusal(api.http.get(f"/vnc/{plain}/vnc.html"), 404)
        base = str(api.http.base_url).rstrip("/").replace("http", "ws", 1)
        with pytest.raises(InvalidStatus) as refused, connect(f"{base}/vnc/{plain}/websockify"):
            pass
        assert refused.value.response.status_code == 404


def test_the_browser_on_the_desktop_is_started_when_it_is_asked_for(api):
    with api.box(flavor="agent-ready", enableVnc=True, enableBrowser=True, env={"SANDY_VNC_RESOLUTION": "800x600"}) as made:
        wait_until(lambda: vnc(api, made)["ready"], "the desktop shows", 60)
        assert vnc(api, made)["resolution"] == "800x600"
        wait_until(lambda: "chromium" in agents.processes(api, made), "the browser runs", 60)


def test_a_private_desktop_takes_a_signed_url(api):
    with api.box(flavor="desktop", private_ports=[7900]) as made:
        wait_until(lambda: vnc(api, made)["ready"], "the desktop shows", 60)
        refusal(api.http.get(f"/vnc/{made}/vnc.html"), 403)
        signed = answer(api.http.post(f"/api/sandboxes/{made}/preview", json={"port": 7900, "path": "/vnc.html"}))
        host, path = signed["url"].split("//")[1].split("/", 1)
        headers = {"X-Sandy-Host": host.split(":")[0]}
        page = api.http.get("/" + path, headers=headers, follow_redirects=False)
        assert page.status_code == 302 and "sandy-access-7900" in page.headers["Set-Cookie"]
        assert "noVNC" in api.http.get(page.headers["Location"], headers={**headers, "Cookie": page.headers["Set-Cookie"].split(";")[0]}).text
