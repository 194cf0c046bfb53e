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
