"""How many creations at a time serve a burst of callers best: what `create_concurrency` is set from."""

import concurrent.futures
import contextlib
import time

from report import Row
from sandy_peer import SandyServer
from timing import milliseconds, p50, p90

CONCURRENCIES = (1, 2, 4, 8, 16)
CALLERS = 32


def run(session):
    """One server per setting, all at once, measured in turns."""
    rounds = 2 if session.quick else 8
    rates, waits = ({each: [] for each in CONCURRENCIES} for _ in range(2))
    with contextlib.ExitStack() as stack:
        callers = stack.enter_context(concurrent.futures.ThreadPoolExecutor(CALLERS))
        servers = {each: stack.enter_context(SandyServer("--create-concurrency", str(each))) for each in CONCURRENCIES}
        for number in range(rounds + 1):
            for setting, server in servers.items():
                batch = session.measure(lambda: _burst(server, callers))
                if number == 0:  # the first of each reads the image from disk
                    continue
                took, each = batch.values
                rates[setting].append(CALLERS / took * 1000)
                waits[setting] += each
                session.say(f"round {number}/{rounds}: {setting} at a time: {rates[setting][-1]:.1f}/s")
    return [Row(f"a burst of {CALLERS} creations, {each} made at a time",
                f"{p50(rates[each]):.1f}/s; a caller waits {p50(waits[each]):.0f} ms (p90 {p90(waits[each]):.0f})",
                details={"rates": rates[each], "milliseconds": waits[each]}) for each in CONCURRENCIES]


def _burst(server, callers):
    """All callers create at once. Gives what that took, and what each waited; ends what was made, not timed."""
    links = [server.connect() for _ in range(CALLERS)]
    made, waits = [], []

    def create(link):
        waits.append(milliseconds(lambda: made.append(server.create(link))))

    took = milliseconds(lambda: list(callers.map(create, links)))
    list(callers.map(server.remove, links, made))
    for link in links:
        link.close()
    time.sleep(0.3)  # the kernel removes namespaces and mounts in the background
    return took, waits
