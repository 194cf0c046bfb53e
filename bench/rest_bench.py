"""Hundreds of sandboxes at rest: what each costs beyond what they share, and what they cost those who work."""

import concurrent.futures
import time
from pathlib import Path

from report import Row, below
from sandy_peer import SandyServer
from session import Batch, undisturbed
from timing import kibibytes, milliseconds, p50, p90

AT_REST = 500
MOST_MIB, MOST_RATIO = 1.5, 1.1
# More than a run needs: what is refused for its number is not what is measured here.
ARGUMENTS = ["--max-sandboxes", str(AT_REST + 12), "--default-memory", "32Mi", "--default-disk", "256Mi",
             "--tenant-creations-per-minute", "0", "--tenant-creations-per-hour", "0"]  # fmt: skip


def run(session):
    count, rounds = (50, 2) if session.quick else (AT_REST, 6)
    with SandyServer(*ARGUMENTS) as sandy, sandy.connect() as link:
        first = sandy.create(link)
        alone = [_exec(sandy, first, session) for _ in range(rounds)]
        before = _memory(sandy)
        boxes = _create(sandy, count)
        during = _memory(sandy)
        among = []
        for number in range(rounds):
            among.append(_exec(sandy, boxes[number * len(boxes) // rounds], session))
            session.say(f"round {number + 1}/{rounds}: exec among {count}: {p50(among[-1].values):.2f} ms")
        _end(sandy, boxes)
        # Once more alone: a machine that became slower meanwhile is not the sandboxes' doing.
        alone += [_exec(sandy, first, session) for _ in range(rounds)]
        sandy.remove(link, first)
    return [_memory_row(count, before, during), _exec_row(count, alone, among)]


def _memory_row(count, before, during):
    each = {name: (during[name] - before[name]) / 1024 / count for name in before}
    charged = each["groups"] + each["server"]
    shown = f"{each['MemAvailable']:.2f} MiB (charged: control groups {each['groups']:.2f}, server {each['server']:.2f})"
    # What others allocate or free meanwhile is in the machine's number alone: the larger of both counts.
    return below(f"memory of each of {count} sandboxes at rest, beyond what they share", shown, max(each["MemAvailable"], charged),
                 MOST_MIB, "MiB", each)


def _exec_row(count, alone, among):
    times = undisturbed({"alone": alone, "among": among})
    ratio = p50(times["among"]) / p50(times["alone"])
    one, many = (f"{p50(times[name]):.2f} ms (p90 {p90(times[name]):.2f})" for name in ("alone", "among"))
    return Row(f"exec among {count} sandboxes, vs alone", many, one, f"{ratio:.2f} x as long", f"<= {MOST_RATIO} x", ratio <= MOST_RATIO,
               times)


def _exec(sandy, box, session) -> Batch:
    def batch():
        with sandy.connect() as link:
            sandy.run_true(link, box)  # the first one reads what it needs
            return [milliseconds(lambda: sandy.run_true(link, box)) for _ in range(40)]

    return session.measure(batch)


def _create(sandy, count):
    def create(_):
        with sandy.connect() as link:
            return sandy.create(link)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        return list(pool.map(create, range(count)))


def _end(sandy, boxes):
    def end(box):
        with sandy.connect() as link:
            sandy.remove(link, box)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(end, boxes))


def _memory(sandy):
    """KiB in use: of the machine, charged to sandboxes, and the server's own."""
    time.sleep(5)  # the kernel frees in the background what making a sandbox took
    machine = []
    for _ in range(5):
        numbers = kibibytes("/proc/meminfo")
        machine.append(numbers["MemTotal"] - numbers["MemAvailable"])
        time.sleep(0.2)
    return {"MemAvailable": p50(machine), "groups": _charged(sandy), "server": kibibytes(f"/proc/{sandy.pid}/smaps_rollup")["Pss"]}


def _charged(sandy):
    """What control groups, of v1 or v2, say that the sandboxes hold."""
    name = sandy.server.cgroup_parent.lstrip("/")
    for path in (Path("/sys/fs/cgroup/memory", name, "memory.usage_in_bytes"), Path("/sys/fs/cgroup", name, "memory.current")):
        if path.exists():
            return int(path.read_text()) / 1024
    raise RuntimeError("no control group of the sandboxes' memory")
