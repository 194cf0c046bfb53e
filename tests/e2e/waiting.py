"""Waits for what no event announces."""

import time

INTERVAL_SECONDS = 0.02


def wait_until(condition, what: str, seconds: float = 10.0):
    """Asks `condition` until it gives something true and returns that; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(INTERVAL_SECONDS)
    return found


def wait_until_empty(search, what: str, seconds: float = 10.0) -> None:
    """Asks `search` until it finds nothing; fails after `seconds` with what it found."""
    deadline = time.monotonic() + seconds
    while found := search():
        assert time.monotonic() < deadline, f"{what}: {found}"
        time.sleep(INTERVAL_SECONDS)
