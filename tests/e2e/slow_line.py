"""A line that is slow and loses some of what it carries. The kernel's netem does the same, where a kernel has it."""

import collections
import contextlib
import ctypes
import fcntl
import os
import random
import selectors
import socket
import struct
import threading
import time

from namespaces import ip

ALL_PROTOCOLS = 0x0003  # ETH_P_ALL of linux/if_ether.h
IGNORE_OUTGOING = 23  # PACKET_IGNORE_OUTGOING of linux/if_packet.h
SOL_PACKET = 263
SIOCETHTOOL = 0x8946
SET_CHECKSUMS = 0x17  # ETHTOOL_STXCSUM of linux/ethtool.h
FRAME_BYTES = 1 << 16


class SlowLine:
    """Between an interface and a switch, both of this thread's namespace."""

    def __init__(self, interface: str, switch: str, delay_seconds: float, loss: float):
        self._near, far = f"{interface}-a", f"{interface}-b"
        ip("link", "add", self._near, "type", "veth", "peer", "name", far)
        send_whole_frames(far)
        for name in (self._near, far):
            ip("link", "set", name, "up")
        ip("link", "set", far, "master", switch)
        ends = [_end(interface), _end(self._near)]
        self._others = {ends[0]: ends[1], ends[1]: ends[0]}
        self._delay_seconds, self._loss = delay_seconds, loss
        self._chance = random.Random(1)
        self._under_way = collections.deque()  # (when it arrives, where, frame)
        self._told, self._tell = os.pipe()
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def close(self) -> None:
        os.close(self._tell)
        self._thread.join()
        os.close(self._told)
        for each in self._others:
            each.close()
        ip("link", "delete", self._near)

    def _carry(self) -> None:
        with selectors.DefaultSelector() as selector:
            for each in (*self._others, self._told):
                selector.register(each, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select(self._seconds_to_next()):
                    if key.fileobj == self._told:
                        return
                    self._take(key.fileobj)
                while self._seconds_to_next() == 0:
                    _, end, frame = self._under_way.popleft()
                    with contextlib.suppress(OSError):  # no room: one more that is lost
                        end.send(frame)

    def _take(self, end) -> None:
        frame = end.recv(FRAME_BYTES)
        if self._chance.random() >= self._loss:
            self._under_way.append((time.monotonic() + self._delay_seconds, self._others[end], frame))

    def _seconds_to_next(self):
        return max(0, self._under_way[0][0] - time.monotonic()) if self._under_way else None


def send_whole_frames(interface: str) -> None:
    """What the interface sends has its checksums and is no larger than its frames: nothing behind it does that work."""
    command = ctypes.create_string_buffer(struct.pack("II", SET_CHECKSUMS, 0))
    request = struct.pack("16sP16x", interface.encode(), ctypes.addressof(command))  # struct ifreq of netdevice(7)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCETHTOOL, request)


def _end(interface: str) -> socket.socket:
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS))
    end.setsockopt(SOL_PACKET, IGNORE_OUTGOING, 1)
    end.bind((interface, 0))
    return end
