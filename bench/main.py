"""Runs the benchmarks and prints one table; see bench/run."""

import argparse
import datetime
import os
import platform
import signal
import sys
import traceback
from pathlib import Path

# Tests start and check their servers with the same modules.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import agent_bench
import cluster_bench
import concurrency_bench
import container_bench
import coro_bench
import edge_bench
import engine_bench
import exec_bench
import gateway_bench
import idle_bench
import ingress_bench
import pool_bench
import report
import rest_bench
from session import Session
from timing import kibibytes

PARTS = {"engine": engine_bench, "exec": exec_bench, "idle": idle_bench, "edge": edge_bench, "coro": coro_bench,
         "pool": pool_bench, "rest": rest_bench, "concurrency": concurrency_bench, "agent": agent_bench,
         "ingress": ingress_bench, "gateway": gateway_bench, "container": container_bench, "cluster": cluster_bench}
RESULTS = Path(__file__).resolve().parents[1] / "build" / "bench"


def main():
    parser = argparse.ArgumentParser(prog="bench/run", description="Measures Sandy beside its peers, in one run.")
    parser.add_argument("--quick", action="store_true", help="a sanity run: few rounds, numbers not worth quoting")
    parser.add_argument("--only", help=f"some of {', '.join(PARTS)}, separated by commas")
    parser.add_argument("--patience", type=float, default=300, metavar="SECONDS",
                        help="how long to wait, in sum, for other programs to be quiet (default: 300)")
    options = parser.parse_args()
    wanted = options.only.split(",") if options.only else list(PARTS)
    if unknown := set(wanted) - set(PARTS):
        parser.error(f"unknown: {', '.join(unknown)}")
    # What is being measured is ended and cleaned up whoever stops us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    session = Session(options.quick, 0 if options.quick else options.patience)
    about = machine(options.quick)
    rows, failed = [], []
    for name in wanted:
        try:
            rows += PARTS[name].run(session)
        except Exception:  # the other parts are still worth their time
            traceback.print_exc()
            failed.append(name)
    about["load at the end"] = load()
    about["others"] = session.disturbance()
    print("\n" + report.write(RESULTS, about, rows), end="")
    missed = [row.measure for row in rows if row.reached is False]
    print(f"\nnot reached: {'; '.join(missed)}" if missed else "\nevery goal that was measured is reached")
    if failed:
        sys.exit(f"could not be measured: {', '.join(failed)}")


def machine(quick):
    cpu = next((line.partition(": ")[2] for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.machine())
    return {
        "run": ("quick, " if quick else "") + datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "machine": f"{os.cpu_count()} cores, {cpu}, {kibibytes('/proc/meminfo')['MemTotal'] / 2**20:.0f} GiB",
        "kernel": platform.release().partition("-")[0],
        "load at the start": load(),
    }


def load():
    return "{:.1f} {:.1f} {:.1f}".format(*os.getloadavg())


if __name__ == "__main__":
    main()
