"""Network namespaces of the test's own. They have no name: with the last process and descriptor in it, the kernel takes one apart."""

import contextlib
import ctypes
import os
import subprocess

LIBC = ctypes.CDLL(None, use_errno=True)
NEW_NETWORK = 0x40000000  # CLONE_NEWNET of sched.h


@contextlib.contextmanager
def new_network():
    """A network namespace of its own for this thread, and for what it starts."""
    home = _current()
    try:
        if LIBC.unshare(NEW_NETWORK) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        try:
            ip("link", "set", "lo", "up")
            yield
        finally:
            _enter(home)
    finally:
        os.close(home)


@contextlib.contextmanager
def inside(network: int):
    """This thread, and what it starts, is in that namespace, given by a descriptor."""
    home = _current()
    try:
        _enter(network)
        try:
            yield
        finally:
            _enter(home)
    finally:
        os.close(home)


def made() -> int:
    """A descriptor of a new one."""
    with new_network():
        return _current()


def ip(*words) -> None:
    done = subprocess.run(["ip", *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, (words, done.stderr)


def _current() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _enter(network: int) -> None:
    if LIBC.setns(network, NEW_NETWORK) != 0:
        raise OSError(ctypes.get_errno(), "setns")
