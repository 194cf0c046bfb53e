"""The service and a sandbox, for tests that need no server of their own."""

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
