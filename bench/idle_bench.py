"""What doing nothing costs: the server's memory and CPU, and the memory of a sandbox at rest."""

import concurrent.futures
import time

from report import below
from sandy_peer import SandyServer
from timing import exact_cpu_seconds, kibibytes, p50

IDLE_SANDBOXES, AT_REST = 50, 100
MOST_SERVER_MIB, MOST_CPU_PERCENT, MOST_SANDBOX_MIB = 40, 0.2, 1.5


def run(session):
    return _server(5 if session.quick else 30, session) + _sandbox(1 if session.quick else 4, session)


def _server(seconds, session):
    with SandyServer() as sandy:
        _create(sandy, IDLE_SANDBOXES)
        time.sleep(3)  # what was asked for is done, what was freed is returned
        begin = time.monotonic(), exact_cpu_seconds(sandy.pid)
        time.sleep(seconds)
        cpu = (exact_cpu_seconds(sandy.pid) - begin[1]) / (time.monotonic() - begin[0]) * 100
        memory = kibibytes(f"/proc/{sandy.pid}/smaps_rollup")
    rss, pss = memory["Rss"] / 1024, memory["Pss"] / 1024
    session.say(f"{IDLE_SANDBOXES} idle sandboxes: server RSS {rss:.1f} MiB, PSS {pss:.1f} MiB, CPU {cpu:.3f} % of a core")
    return [
        below(f"server's RSS, {IDLE_SANDBOXES} idle sandboxes", f"{rss:.1f} MiB (PSS {pss:.1f})", rss, MOST_SERVER_MIB, "MiB",
              memory),
        below(f"server's CPU, the same, over {seconds} s", f"{cpu:.3f} % of a core", cpu, MOST_CPU_PERCENT, "%", {}),
    ]


def _sandbox(rounds, session):
    """The sum of what is only there because of sandboxes: their processes, what the server grew by, and memory of the
    kernel. MemAvailable alone would count every compiler that runs beside us."""
    found = {name: [] for name in ("kernel", "processes", "server", "MemAvailable")}
    with SandyServer() as sandy:
        with sandy.connect() as link:
            sandy.remove(link, sandy.create(link))  # what all share is there
        for number in range(rounds):
            before = _memory(sandy)
            boxes = _create(sandy, AT_REST)
            during = _memory(sandy)
            _remove(sandy, boxes)
            after = _memory(sandy)
            for name, values in found.items():
                values += [(during[name] - other[name]) / 1024 / AT_REST for other in (before, after)]
            session.say(f"round {number + 1}/{rounds}: {AT_REST} sandboxes at rest, MiB each when they came and when they went: "
                        + ", ".join(f"{name} {values[-2]:.2f} {values[-1]:.2f}" for name, values in found.items()))
    each = {name: p50(values) for name, values in found.items()}
    total = each["kernel"] + each["processes"] + each["server"]
    return [below(f"memory of a sandbox at rest ({AT_REST} of them)",
                  f"{total:.2f} MiB (kernel {each['kernel']:.2f}, its processes {each['processes']:.2f}, server {each['server']:.2f})",
                  total, MOST_SANDBOX_MIB, "MiB", found)]


def _create(sandy, count):
    def create(_):
        with sandy.connect() as link:
            return sandy.create(link)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        return list(pool.map(create, range(count)))


def _remove(sandy, boxes):
    with sandy.connect() as link:
        for box in boxes:
            sandy.remove(link, box)


def _memory(sandy):
    """KiB in use; "MemAvailable" is what is not available, so that all grow with sandboxes."""
    time.sleep(4)  # the kernel frees what a sandbox leaves in the background
    pids = sandy.sandbox_processes()
    samples = []
    for _ in range(5):
        machine = kibibytes("/proc/meminfo")
        samples.append({
            "kernel": sum(machine[name] for name in ("Slab", "KernelStack", "PageTables", "Percpu")),
            "processes": sum(kibibytes(f"/proc/{pid}/smaps_rollup")["Pss"] for pid in pids),
            "server": kibibytes(f"/proc/{sandy.pid}/smaps_rollup")["Pss"],
            "MemAvailable": machine["MemTotal"] - machine["MemAvailable"],
        })
        time.sleep(0.2)
    return {name: p50([sample[name] for sample in samples]) for name in samples[0]}
