"""Real servers for tests; SANDYD names another program than build/release/sandyd."""

import pytest
from leftovers import leftovers
from running_server import Server


def end(running: Server) -> None:
    """Ends a server with its sandboxes. Exactly nothing of it may be left."""
    # Sandboxes outlive their server on purpose; what tests forgot must not look like a leak.
    running.terminate_all()
    assert running.stop() == 0, f"sandyd did not end well:\n{running.log.read_text()[-4000:]}"
    assert leftovers(running) == []


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One server for all tests of a run."""
    running = Server(tmp_path_factory.mktemp("sandy") / "data").start()
    yield running
    end(running)


@pytest.fixture
def sandyd(tmp_path_factory):
    """Makes servers of the test's own: `sandyd("--max-sandboxes", 3)`. Ended with the test, those that still run."""
    made = []

    def start(*arguments, **settings) -> Server:
        made.append(Server(tmp_path_factory.mktemp("s") / "data", arguments, **settings))
        return made[-1].start()

    yield start
    for running in made:
        if not running.is_running() and leftovers(running):
            running.start()  # takes over what the test left, to end it
        if running.is_running():
            end(running)
