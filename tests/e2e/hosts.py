"""Several hosts on one machine: a network namespace each, at a switch that is in a namespace of the test's own. No way leads out of it."""

import contextlib
import os

from namespaces import inside, ip, made, new_network
from slow_line import SlowLine, send_whole_frames

# Addresses of nobody outside; the switch has one too, where the test's own clients are.
NETWORK = "10.77.0"
HERE = f"{NETWORK}.254"
SWITCH = "switch"


@contextlib.contextmanager
def switch():
    """This thread, and what it starts, is at a switch, as hosts made meanwhile are."""
    with new_network():
        # By itself a bridge takes the lowest address of its ports: with a host that is cut off it would change, and nobody find this end.
        ip("link", "add", SWITCH, "address", "02:00:00:00:00:01", "type", "bridge")
        ip("address", "add", f"{HERE}/24", "dev", SWITCH)
        ip("link", "set", SWITCH, "up")
        yield


class Host:
    """A host at the switch of this thread. @param number the last part of its address"""

    def __init__(self, number: int):
        self.address = f"{NETWORK}.{number}"
        self.network = made()
        self._port = f"port{number}"  # the switch's end of its cable
        self._line = None
        ip("link", "add", self._port, "type", "veth", "peer", "name", "eth0", "netns", self._network_file)
        with inside(self.network):
            ip("address", "add", f"{self.address}/24", "dev", "eth0")
            ip("link", "set", "eth0", "up")
        ip("link", "set", self._port, "up")
        self.heal()

    def close(self) -> None:
        """What runs there keeps its network as long as it runs."""
        self.cut()
        os.close(self.network)

    @property
    def within(self) -> tuple:
        """A command that runs the one behind it here."""
        return "nsenter", f"--net={self._network_file}"

    def inside(self):
        """This thread is here for the time of the block."""
        return inside(self.network)

    def cut(self) -> None:
        """Nothing comes or goes any more, and nobody is told: the cable's ends still see each other."""
        if self._line:
            self._line.close()
            self._line = None
        ip("link", "set", self._port, "nomaster")

    def heal(self) -> None:
        self.cut()
        ip("link", "set", self._port, "master", SWITCH)

    def slow(self, delay_seconds: float, loss: float) -> None:
        """Every frame takes so long, in each direction, and some are lost. @param loss how many of one"""
        self.cut()
        with self.inside():
            send_whole_frames("eth0")
        self._line = SlowLine(self._port, SWITCH, delay_seconds, loss)

    @property
    def _network_file(self) -> str:
        return f"/proc/{os.getpid()}/fd/{self.network}"
