"""A real browser: Debian's Chromium, driven by Playwright. It reaches this machine only, whatever a page asks for."""

import contextlib
from dataclasses import dataclass, field

from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

PROGRAM = "/usr/bin/chromium"
# No name but those of this machine is looked up; Chromium takes *.localhost for the loopback by itself.
ARGUMENTS = [
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost , EXCLUDE *.localhost , EXCLUDE 127.0.0.1",
    "--disable-component-update",
    "--disable-dev-shm-usage",
]
# A development server compiles what a page loads first, and this machine may be busy.
PATIENCE_MS = 30_000
expect.set_options(timeout=PATIENCE_MS)


@contextlib.contextmanager
def chromium():
    """A browser without windows, closed with the block.

    Playwright runs an event loop on the thread that uses it: as long as the block lasts, nothing else there can run one."""
    with sync_playwright() as playwright:
        # As root Chromium runs only without its own sandbox; Playwright's default says so.
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Tab:
    """A page with a profile of its own, and what it complained about."""

    page: Page
    errors: list = field(default_factory=list)  # uncaught exceptions and error lines of its console
    failed: list = field(default_factory=list)  # requests without an answer, and answers of 400 and above
    sockets: list = field(default_factory=list)  # the WebSockets that it opened


@contextlib.contextmanager
def tab(browser: Browser, **settings):
    """@param settings of Browser.new_context, say viewport={"width": 1280, "height": 720}"""
    context = browser.new_context(**settings)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    opened = Tab(page)
    page.on("pageerror", lambda error: opened.errors.append(str(error)))
    page.on("console", lambda line: opened.errors.append(line.text) if _is_complaint(line) else None)
    page.on("requestfailed", lambda request: opened.failed.append(f"{request.method} {request.url}: {request.failure}"))
    page.on("response", lambda answer: opened.failed.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None)
    page.on("websocket", lambda socket: opened.sockets.append(socket))
    try:
        yield opened
    finally:
        context.close()


def _is_complaint(line: ConsoleMessage) -> bool:
    # What could not be loaded is in Tab.failed, with its address.
    return line.type == "error" and not line.text.startswith("Failed to load resource")
