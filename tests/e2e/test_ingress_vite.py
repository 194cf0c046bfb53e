"""A web application as the web IDE makes one: written, served, opened in a browser by its public name, edited, and reloaded while hot."""

from functools import partial
from urllib.parse import urlsplit

import pytest
from ingress import RUNTIME_PORT, SUFFIX, Site, host
from playwright.sync_api import expect
from waiting import wait_until

APP = """
import { useState } from "react";
import Greeting from "./Greeting.jsx";

export default function App() {
  const [count, setCount] = useState(0);
  return (
    <main className="p-4">
      <Greeting />
      <button onClick={() => setCount(count + 1)}>pressed {count} times</button>
    </main>
  );
}
"""
GREETING = 'export default function Greeting() {\n  return <h1 className="text-3xl">%s</h1>;\n}\n'
# As the web IDE writes it; in development the port is the server's.
CONFIG = """
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [react()],
  server: { host: "0.0.0.0", port: 5173, strictPort: true, allowedHosts: true, hmr: { protocol: "ws", host: "%s", clientPort: %d } },
});
"""


@pytest.fixture(scope="module")
def site(api):
    """A project made of the image's template, served by Vite; the way to it."""
    port = urlsplit(str(api.http.base_url)).port
    with api.box(flavor="agent-ready", priority=1, preemptable=False) as box:
        api.output(box, "test -d /opt/sandy/template/node_modules && cp -r /opt/sandy/template/. . ; test -x node_modules/.bin/vite")
        api.write(box, "src/App.jsx", APP)
        api.write(box, "src/Greeting.jsx", GREETING % "Hello")
        api.write(box, "vite.config.js", CONFIG % (host(box), port))
        api.exec(box, "pkill -f vite || true")
        api.output(box, "nohup npx vite > /tmp/vite.log 2>&1 &")
        # As the IDE's own server asks: at the address of the API, naming the sandbox in a header.
        page = Site(f"http://127.0.0.1:{port}", {"Host": f"127.0.0.1:{port}", "X-Sandy-Host": host(box), "X-Forwarded-Proto": "http"})
        wait_until(lambda: (reply := page.visit()).status == 200 and b'id="root"' in reply.body and b"<!doctype html>" in reply.body.lower(),
                   f"Vite serves the page; {api.exec(box, 'cat /tmp/vite.log')['stdout']}", 60)  # fmt: skip
        page.box = box
        yield page


def save(api, site, text, seen):
    """Writes a component until the page shows it by the expectation `seen`. Vite's watcher drops a change that comes within 50 ms of the
    one before it, and whoever saw that one in the page can be that fast."""
    for _ in range(10):
        api.write(site.box, "src/Greeting.jsx", text)
        try:
            return seen(timeout=3000)
        except AssertionError:
            pass
    raise AssertionError(f"the page never showed {text!r}")


@pytest.fixture
def opened(api, site, tab):
    """The application in a browser, by the URL that the service gave."""
    url = api.get(site.box).json()["url"]
    assert urlsplit(url).hostname == host(site.box) and url.endswith(SUFFIX + f":{urlsplit(url).port}")
    with tab.page.expect_websocket() as socket:
        tab.page.goto(url)
    assert urlsplit(socket.value.url).hostname == host(site.box)
    expect(tab.page.locator("h1")).to_have_text("Hello")
    return tab


def test_an_edit_shows_in_the_open_page_which_keeps_its_state(api, site, opened):
    page = opened.page
    page.evaluate("window.untouched = true")
    for _ in range(3):
        page.get_by_role("button").click()
    expect(page.get_by_role("button")).to_have_text("pressed 3 times")
    try:
        for text in ("Hello again", "Gr\u00fc\u00dfe"):
            save(api, site, GREETING % text, partial(expect(page.locator("h1")).to_have_text, text))
        expect(page.get_by_role("button")).to_have_text("pressed 3 times")
        assert page.evaluate("window.untouched") is True
    finally:
        api.write(site.box, "src/Greeting.jsx", GREETING % "Hello")
    assert opened.errors == [] and [each for each in opened.failed if "favicon" not in each] == []


def test_a_mistake_is_shown_over_the_page_and_goes_with_its_correction(api, site, opened):
    page = opened.page
    overlay = expect(page.locator("vite-error-overlay"))
    try:
        save(api, site, "export default function Greeting( {", overlay.to_be_attached)
    finally:
        save(api, site, GREETING % "Hello", overlay.not_to_be_attached)
    expect(page.locator("h1")).to_have_text("Hello")


def test_styles_are_replaced_in_the_open_page(api, site, opened):
    page = opened.page
    before = api.read(site.box, "src/index.css").json()["content"]
    api.write(site.box, "src/index.css", before + "\nh1 { color: rgb(1, 2, 3); }\n")
    try:
        expect(page.locator("h1")).to_have_css("color", "rgb(1, 2, 3)")
    finally:
        api.write(site.box, "src/index.css", before)


@pytest.mark.parametrize("path", ["/@vite/client", "/@react-refresh", "/src/main.jsx", "/src/App.jsx", "/node_modules/vite/dist/client/env.mjs", "/@id/react"])
def test_what_the_page_loads_comes_through_the_header_too(site, path):
    reply = site.visit(path)
    assert reply.status == 200 and "javascript" in reply.header("content-type")


def test_a_version_that_the_client_has_is_not_sent_again(site):
    reply = site.visit("/src/main.jsx")
    again = site.visit("/src/main.jsx", headers={"If-None-Match": reply.header("etag")})
    assert again.status == 304 and again.body == b""


def test_a_built_application_is_served_with_all_its_parts(api, tab):
    """By the port before the id, from another port."""
    with api.box(flavor="agent-ready", expose_ports=[4173]) as box:
        api.start(box, "cp -r /opt/sandy/template/. . && npm run build && npx vite preview --host 0.0.0.0 --port 4173 --strictPort")
        port = urlsplit(str(api.http.base_url)).port
        shown = Site(f"http://127.0.0.1:{port}", {"Host": f"4173-{host(box)}"})
        wait_until(lambda: shown.visit().status == 200, "the preview is served", 120)
        tab.page.goto(f"http://4173-{host(box)}:{port}/")
        expect(tab.page.locator("h1")).to_have_text("Ready to build")
        assert tab.errors == [] and not [each for each in tab.failed if "favicon" not in each]


def test_the_page_works_by_the_name_with_its_port_too(site, tab):
    port = urlsplit(site.base_url).port
    tab.page.goto(f"http://{RUNTIME_PORT}-{host(site.box)}:{port}/")
    expect(tab.page.locator("h1")).to_have_text("Hello")
