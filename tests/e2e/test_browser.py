"""The browser of the tests itself: it runs scripts, finds *.localhost, tells what went wrong, and reaches nothing else."""

import contextlib
import http.server
import threading

import pytest
from playwright.sync_api import Error

PAGE = b"""<!doctype html><title>before</title><p id=text>Hello</p>
<script>document.title = location.hostname; fetch("/missing"); console.error("a complaint")</script>"""


class Answers(http.server.BaseHTTPRequestHandler):
    """The page at /, and nothing else."""

    def do_GET(self):
        found = self.path == "/"
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(PAGE) if found else 0))
        self.end_headers()
        self.wfile.write(PAGE if found else b"")

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def plain_server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


def test_it_runs_the_page_of_a_name_below_localhost(tab):
    with plain_server() as port:
        with tab.page.expect_response("**/missing"):
            tab.page.goto(f"http://some-box.sandy.localhost:{port}/")
        assert tab.page.title() == "some-box.sandy.localhost"
        assert tab.page.locator("#text").inner_text() == "Hello"
        assert "a complaint" in tab.errors
        assert any(line.startswith("404 ") and line.endswith("/missing") for line in tab.failed)
        assert tab.page.screenshot()[:4] == b"\x89PNG"


@pytest.mark.parametrize("address", ["http://example.com/", "http://192.0.2.1/"])
def test_it_reaches_nothing_beyond_this_machine(tab, address):
    with pytest.raises(Error, match="ERR_NAME_NOT_RESOLVED"):
        tab.page.goto(address)
