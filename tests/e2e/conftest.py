"""The service, a sandbox and a browser, for tests that need none of their own."""

import browser as browsers
import pytest
from service import Service


@pytest.fixture(scope="session")
def api(server):
    """The session's server with its key."""
    with Service(server.base_url, server.api_key) as service:
        yield service


@pytest.fixture
def box(api):
    """A fresh sandbox."""
    with api.box() as made:
        yield made


@pytest.fixture(scope="module")
def shared_box(api):
    """A sandbox for tests of one file that leave it as it was."""
    with api.box() as made:
        yield made


@pytest.fixture(scope="module")
def browser():
    """A browser for the tests of one file."""
    with browsers.chromium() as running:
        yield running


@pytest.fixture
def tab(browser):
    """A fresh page (`tab.page`), which knows nothing of other tests; `browser.Tab`."""
    with browsers.tab(browser) as opened:
        yield opened
