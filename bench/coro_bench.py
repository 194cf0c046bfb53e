"""What the coroutine layer costs next to plain CAF: runs sandy-bench-coro and compares its rows by pairs."""

import json
import subprocess

from report import Row
from running_server import PROGRAM

PAIRS = [
    ("a question of a coroutine, its answer", "coroutine_no_timeout", "caf_then_no_timeout"),
    ("the same, answered by a coroutine", "coroutine_both_sides", "caf_then_no_timeout"),
    ("the same with a timeout of 10 s", "coroutine_10s_timeout", "caf_then_10s_timeout"),
]
ALONE = [("the edge asks an actor", "edge_question"), ("an actor is made and ended", "spawn_and_end")]


def run(session):
    ran = subprocess.run(
        [PROGRAM.with_name("sandy-bench-coro"), "--benchmark_format=json", f"--benchmark_repetitions={1 if session.quick else 5}",
         "--benchmark_enable_random_interleaving=true"], stdout=subprocess.PIPE, check=True)
    found = {}
    for each in json.loads(ran.stdout)["benchmarks"]:
        name = next(part for part in reversed(each["name"].split("/")) if not part.startswith(("real_time", "iterations", "repeats")))
        if each["run_type"] == "iteration":
            # A batch of round trips counts as items; nanoseconds for one of them.
            found.setdefault(name, []).append(1e9 / each["items_per_second"] if "items_per_second" in each else each["real_time"])
    best = {name: min(times) for name, times in found.items()}
    session.say(", ".join(f"{name} {time:.0f} ns" for name, time in best.items()))
    rows = [Row(f"coroutines vs CAF: {text}", f"{best[ours]:.0f} ns", f"{best[plain]:.0f} ns", f"{best[ours] / best[plain]:.2f} x",
                details={ours: found[ours], plain: found[plain]}) for text, ours, plain in PAIRS]
    return rows + [Row(text, f"{best[name]:.0f} ns", details={name: found[name]}) for text, name in ALONE]
