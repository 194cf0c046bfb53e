"""Warm pools, creation without one, and the end of a family, beside Docker's create and start."""

import concurrent.futures
import time

from docker_peer import DockerEngine
from report import Row, at_least, below
from sandy_peer import SandyServer
from session import Batch, undisturbed
from timing import milliseconds, p50, p90

WARM = 6
AT_ONCE = 8
CHILDREN, GRANDCHILDREN = 5, 9


def run(session):
    rounds = 2 if session.quick else 8
    return _claims(rounds, session) + _sustained(rounds, session) + _cascade(rounds, session)


def _claims(rounds, session):
    arguments = ["--prewarm-count", str(WARM), "--pool-refill-rate", "50", "--end-sandboxes"]
    with SandyServer(*arguments) as sandy, DockerEngine() as docker:
        create, first = {"Sandy": [], "Docker": []}, {"Sandy": [], "Docker": []}
        for number in range(rounds + 1):
            for peer in (sandy, docker):
                both = session.measure(lambda: _create_then_run(peer, _fill if peer is sandy else _settle))
                if number == 0:  # the first of each reads the image from disk
                    continue
                created, ran = (Batch(list(times), both.quiet) for times in zip(*both.values))
                create[peer.name].append(created)
                first[peer.name].append(ran)
                session.say(f"round {number}/{rounds}: {peer.name}: create {p50(created.values):.2f} ms, "
                            f"with the first exec {p50(ran.values):.2f} ms")
        version = f"Docker {docker.version}"
    times = undisturbed(create)
    return [
        below("a claim over HTTP", f"{p50(times['Sandy']):.2f} ms (p90 {p90(times['Sandy']):.2f})", p50(times["Sandy"]), 2, "ms", {}),
        _faster(f"the same, vs {version}'s create + start", create, 80),
        _faster("claim + first exec, vs create + start + first exec", first, 8),
    ]


def _faster(measure, batches, wanted):
    times = undisturbed(batches)
    return at_least(measure, *(f"{p50(times[name]):.2f} ms (p90 {p90(times[name]):.2f})" for name in ("Sandy", "Docker")),
                    p50(times["Docker"]) / p50(times["Sandy"]), wanted, {name: values for name, values in times.items()})


def _fill(sandy):
    """Waits until the pool is full, so that a claim is a claim."""
    while sandy.server.call("GET", "/api/resources")["warmPool"]["basic"]["available"] < WARM:
        time.sleep(0.02)
    _settle(sandy)


def _settle(_):
    """The kernel removes namespaces and mounts in the background."""
    time.sleep(0.3)


def _create_then_run(peer, prepare):
    pairs = []
    with peer.connect() as link:
        for _ in range(4):
            prepare(peer)
            made = []
            create = milliseconds(lambda: made.append(peer.create(link)))
            first = milliseconds(lambda: peer.run_true(link, made[0]))
            pairs.append((create, create + first))
            peer.remove(link, made[0])
    prepare(peer)
    return pairs


def _sustained(rounds, session):
    """Creations without a pool, so many at a time, each ended before its caller makes the next."""
    rates = []
    with SandyServer() as sandy, concurrent.futures.ThreadPoolExecutor(AT_ONCE) as callers:
        def caller(count):
            spent = 0.0
            with sandy.connect() as link:
                for _ in range(count):
                    made = []
                    spent += milliseconds(lambda: made.append(sandy.create(link)))
                    sandy.remove(link, made[0])
            return spent

        list(callers.map(caller, [1] * AT_ONCE))
        for number in range(rounds):
            count = 10
            took = milliseconds(lambda: list(callers.map(caller, [count] * AT_ONCE)))
            rates.append(AT_ONCE * count / took * 1000)
            session.say(f"round {number + 1}/{rounds}: {rates[-1]:.1f} sandboxes made and ended per second, {AT_ONCE} at once")
    rate = p50(rates)
    return [Row(f"sandboxes made and ended without a pool, {AT_ONCE} at once", f"{rate:.1f}/s", goal=">= 40 /s", reached=rate >= 40,
                details={"rates": rates})]


def _cascade(rounds, session):
    times = []
    limits = ["--child-max-alive", str(GRANDCHILDREN), "--child-max-per-hour", "1000"]
    with SandyServer(*limits) as sandy, sandy.connect() as link:
        def child(parent):
            return link.call("POST", "/api/sandboxes", {"parent_sandbox_id": parent})["sandboxId"]

        for number in range(max(2, rounds // 2)):
            parent = sandy.create(link)
            for _ in range(CHILDREN):
                middle = child(parent)
                for _ in range(GRANDCHILDREN):
                    child(middle)
            times.append(milliseconds(lambda: sandy.remove(link, parent)))
            session.say(f"round {number + 1}: {CHILDREN * (GRANDCHILDREN + 1)} descendants ended in {times[-1]:.0f} ms")
    return [below(f"the end of a sandbox with {CHILDREN * (GRANDCHILDREN + 1)} descendants", f"{p50(times):.0f} ms", p50(times) / 1000, 2,
                  "s", {"milliseconds": times})]
