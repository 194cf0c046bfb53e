"""How much memory the server took."""

from pathlib import Path


def resident_bytes(server, name: str = "VmRSS") -> int:
    """@param name VmRSS: now; VmHWM: at most, since `forget_peak`."""
    for line in Path(f"/proc/{server.pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no {name}")


def forget_peak(server) -> None:
    # proc(5): 5 resets the peak resident set size.
    Path(f"/proc/{server.pid}/clear_refs").write_text("5")
