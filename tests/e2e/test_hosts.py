"""The hosts that tests of clusters stand on: a line that is cut is cut, a slow one is slow, and nothing of them stays behind."""

import contextlib
import hashlib
import os
import socket
import subprocess
import threading
import time

import hosts
import pytest
from waiting import wait_until

SIZE = 2 << 20


@pytest.fixture
def pair():
    """Two hosts."""
    with hosts.switch():
        made = [hosts.Host(number) for number in (1, 2)]
        yield made
        for each in made:
            each.close()


def serve(host) -> int:
    """A server there that answers with the digest of what it is sent; its port."""
    with host.inside():
        listener = socket.create_server((host.address, 0))

    def answer():
        while True:
            client, _ = listener.accept()
            with client:
                client.sendall(hashlib.file_digest(client.makefile("rb"), "sha256").digest())

    threading.Thread(target=answer, daemon=True).start()
    return listener.getsockname()[1]


def digest(host, port: int, sent: bytes, seconds: float = 20) -> bytes:
    with socket.create_connection((host.address, port), timeout=seconds) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        return connection.makefile("rb").read()


def reaches(host, port: int) -> bool:
    try:
        return digest(host, port, b"there?", 0.3) == hashlib.sha256(b"there?").digest()
    except OSError:
        return False


def test_hosts_reach_each_other_and_are_reached_from_the_switch(pair):
    first, second = pair
    port = serve(second)
    assert reaches(second, port)
    with first.inside():
        assert reaches(second, port)


def test_a_host_that_is_cut_off_reaches_itself_alone_until_it_is_healed(pair):
    first, second = pair
    port = serve(second)
    second.cut()
    assert not reaches(second, port)
    with first.inside():
        assert not reaches(second, port)
    with second.inside():
        assert reaches(second, port)
    second.heal()
    wait_until(lambda: reaches(second, port), "it is reached again")


def test_a_cut_disturbs_nobody_else(pair):
    for cut, other in (pair, reversed(pair)):
        with other.inside():
            listener = socket.create_server((other.address, 0))
        with listener, socket.create_connection(listener.getsockname(), timeout=2) as here:
            there, _ = listener.accept()
            with there:
                cut.cut()
                there.sendall(b"undisturbed")
                assert here.recv(100) == b"undisturbed"
        cut.heal()


def test_a_connection_outlives_a_cut(pair):
    port = serve(pair[1])
    with socket.create_connection((pair[1].address, port), timeout=20) as connection:
        pair[1].cut()
        connection.sendall(b"on its way")
        pair[1].heal()
        connection.shutdown(socket.SHUT_WR)
        assert connection.makefile("rb").read() == hashlib.sha256(b"on its way").digest()


def test_a_slow_line_is_slow_loses_frames_and_nothing_that_is_sent(pair):
    first, second = pair
    port = serve(second)
    second.slow(delay_seconds=0.05, loss=0.02)
    sent = os.urandom(SIZE)
    for place in (contextlib.nullcontext(), first.inside()):
        started = time.monotonic()
        with place:
            assert digest(second, port, sent) == hashlib.sha256(sent).digest()
        assert time.monotonic() - started > 0.2  # at least to connect and to hear the answer
    second.heal()
    started = time.monotonic()
    assert reaches(second, port) and time.monotonic() - started < 0.05


def test_a_program_runs_on_its_host(pair):
    shown = subprocess.run([*pair[0].within, "ip", "-oneline", "-4", "address"], capture_output=True, text=True, check=True).stdout
    assert pair[0].address in shown and hosts.HERE not in shown


def test_nothing_stays_behind():
    links = lambda: sorted(os.listdir("/sys/class/net"))
    before, home = links(), os.readlink("/proc/thread-self/ns/net")
    with hosts.switch():
        host = hosts.Host(1)
        host.slow(0, 0)
        host.close()
    assert links() == before and os.readlink("/proc/thread-self/ns/net") == home
