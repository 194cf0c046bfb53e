"""Sandy beside Docker's engine: the same image and limits, each through its own HTTP API, in turns."""

import contextlib
import threading
import time

from docker_peer import DockerEngine
from report import at_least
from sandy_peer import SandyServer
from session import undisturbed
from timing import milliseconds, p50, p90

BURST = 20
# The kernel removes namespaces and mounts in the background: nobody should pay for what the other left.
SETTLE_SECONDS = 0.3


def run(session):
    rounds, creates, execs = (2, 3, 20) if session.quick else (10, 6, 60)
    with SandyServer() as sandy, DockerEngine() as docker:
        peers = [sandy, docker]
        for peer in peers:
            _create_and_run(peer, 1)  # the first of each reads the image from disk
        first, exec_true, burst = ({peer.name: [] for peer in peers} for _ in range(3))
        for number in range(rounds):
            for peer in peers if number % 2 == 0 else reversed(peers):
                done = [session.measure(lambda: _create_and_run(peer, creates)),
                        session.measure(lambda: _run_only(peer, execs)),
                        session.measure(lambda: [_burst(peer)])]
                for batches, batch in zip((first, exec_true, burst), done):
                    batches[peer.name].append(batch)
                session.say(f"round {number + 1}/{rounds}: {peer.name}: create + exec {p50(done[0].values):.1f} ms, "
                            f"exec {p50(done[1].values):.2f} ms, burst {done[2].values[0]:.1f}/s"
                            + "".join(", disturbed" for batch in done if not batch.quiet))
        version = f"Docker {docker.version}"
    rates = undisturbed(burst)
    return [
        _faster(f"create + first exec, vs {version}", first, 8),
        _faster("exec true", exec_true, 25),
        at_least(f"{BURST} creates at once, per second", *(f"{p50(rates[name]):.1f}/s" for name in ("Sandy", "Docker")),
                 p50(rates["Sandy"]) / p50(rates["Docker"]), 8, burst),
    ]


def _faster(measure, batches, wanted):
    times = undisturbed(batches)
    return at_least(measure, *(f"{p50(times[name]):.2f} ms (p90 {p90(times[name]):.2f})" for name in ("Sandy", "Docker")),
                    p50(times["Docker"]) / p50(times["Sandy"]), wanted, batches)


def _create_and_run(peer, count):
    times = []
    with peer.connect() as link:
        for _ in range(count):
            made = []

            def create_and_run():
                made.append(peer.create(link))
                peer.run_true(link, made[0])

            times.append(milliseconds(create_and_run))
            peer.remove(link, made[0])
            time.sleep(SETTLE_SECONDS)
    return times


def _run_only(peer, count):
    with peer.connect() as link:
        box = peer.create(link)
        peer.run_true(link, box)
        times = [milliseconds(lambda: peer.run_true(link, box)) for _ in range(count)]
        peer.remove(link, box)
    time.sleep(SETTLE_SECONDS)
    return times


def _burst(peer):
    """Creations per second when all are asked for at the same moment; nothing may fail."""
    made, start = [], threading.Barrier(BURST + 1)

    def create(link):
        start.wait()
        made.append((link, peer.create(link)))

    with contextlib.ExitStack() as links:
        threads = [threading.Thread(target=create, args=[links.enter_context(peer.connect())]) for _ in range(BURST)]
        for thread in threads:
            thread.start()
        start.wait()
        took = milliseconds(lambda: [thread.join() for thread in threads])
        for link, box in made:
            peer.remove(link, box)
    assert len(made) == BURST, f"{BURST - len(made)} of {BURST} creates failed"
    time.sleep(2 * SETTLE_SECONDS)
    return BURST / took * 1000
