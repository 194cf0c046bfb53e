"""What a run of an agent costs beside the agent: the first event, and a whole run of a program that does nothing, beside
an exec of the same program, in turns."""

import time

from report import Row
from sandy_peer import SandyServer
from session import undisturbed
from timing import milliseconds, p50, p90

MOST_FIRST_EVENT_MS = 20
PATH = "/workspace/bin:/usr/bin:/bin"
ORDER = {"agent": "codex", "model": "none", "prompt": "nothing", "rawPrompt": True, "env": {"PATH": PATH}}


def run(session):
    rounds, count = (2, 10) if session.quick else (5, 40)
    with SandyServer() as sandy, sandy.connect() as link:
        box = sandy.create(link)
        path = f"/api/sandboxes/{box}"
        link.call("POST", f"{path}/files/write", {"path": "bin/codex", "content": "#!/bin/sh\n", "mode": "0755"})

        def first_event_and_all():
            begun = time.perf_counter()
            first = None
            for _ in link.stream("POST", f"{path}/agent/run", ORDER):
                first = first or time.perf_counter()
            return (first - begun) * 1000, (time.perf_counter() - begun) * 1000

        def runs():
            for _ in range(3):  # warms caches up
                first_event_and_all()
            return [(*first_event_and_all(), milliseconds(lambda: link.call("POST", f"{path}/exec", {"command": "bin/codex"})))
                    for _ in range(count)]

        batches = [session.measure(runs) for _ in range(rounds)]
    first, whole, execs = zip(*undisturbed({"all": batches})["all"])
    session.say(f"agent/run: first event {p50(first):.2f} ms, all of a run that does nothing {p50(whole):.1f} ms; exec of the same {p50(execs):.2f} ms")
    return [Row("agent/run, first event vs exec of nothing", f"{p50(first):.2f} ms (p90 {p90(first):.2f})",
                f"{p50(execs):.2f} ms (p90 {p90(execs):.2f})", f"{p50(first) / p50(execs):.1f}x", f"<= {MOST_FIRST_EVENT_MS} ms",
                p50(first) <= MOST_FIRST_EVENT_MS, {"first event, whole run, exec": batches}),
            Row("agent/run, all of a run that does nothing vs exec of it", f"{p50(whole):.1f} ms (p90 {p90(whole):.1f})",
                f"{p50(execs):.2f} ms (p90 {p90(execs):.2f})", f"+{p50(whole) - p50(execs):.1f} ms", "", None,
                {"first event, whole run, exec": batches})]
