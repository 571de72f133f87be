# SPDX-License-Identifier: MIT
"""Network namespaces whose packets take their time, for benches of what distance costs. Kernels without netem have no
such thing, so each namespace gets a tun device, and one process hands packets from one to the other, later.

  node1 (tun) ──┐
  node2 (tun) ──┼── relay: each packet leaves DELAY after it came
  node3 (tun) ──┘

Needs root and /dev/net/tun.
"""

import collections
import contextlib
import ctypes
import fcntl
import os
import select
import signal
import socket
import struct
import subprocess
import time

from _mesh import KITHD, Skipped

PORT = 5484
CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


def enter(namespace):
    """This process is in that namespace from now on; for children."""
    with open(f"/run/netns/{namespace}", "rb") as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")


def open_tun(namespace):
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        enter(namespace)
        tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", b"tun0", IFF_TUN | IFF_NO_PI))
    finally:
        ctypes.CDLL(None).setns(own, CLONE_NEWNET)
        os.close(own)
    return tun


def relay(tuns, delay):
    """Never returns. `tuns` by IPv4 address. All packets wait for the same time: they leave as they came."""
    waiting = collections.deque()
    while True:
        timeout = None if not waiting else max(0.0, waiting[0][0] - time.monotonic())
        for tun in select.select(list(tuns.values()), [], [], timeout)[0]:
            with contextlib.suppress(BlockingIOError):
                while True:
                    packet = os.read(tun, 65536)
                    to = tuns.get(packet[16:20]) if packet[0] >> 4 == 4 else None
                    if to is not None:
                        waiting.append((time.monotonic() + delay, to, packet))
        while waiting and waiting[0][0] <= time.monotonic():
            _, to, packet = waiting.popleft()
            with contextlib.suppress(OSError):  # a full queue drops, as any does
                os.write(to, packet)


class DelayedNetwork:
    def __init__(self, count, delay):
        self.prefix = f"kithd{os.getpid()}"
        self.count, self.delay = count, delay
        self.made, self.relay_pid = [], None

    def build(self):
        tuns = {}
        for number in range(1, self.count + 1):
            name, address = f"{self.prefix}-{number}", f"10.78.0.{number}"
            ip("netns", "add", name)
            self.made.append(name)
            tuns[socket.inet_aton(address)] = open_tun(name)
            ip("-n", name, "addr", "add", f"{address}/24", "dev", "tun0")
            for device in ("tun0", "lo"):
                ip("-n", name, "link", "set", device, "up")
        self.relay_pid = os.fork()
        if self.relay_pid == 0:
            try:
                relay(tuns, self.delay)
            finally:
                os._exit(1)
        for tun in tuns.values():
            os.close(tun)

    def place(self, daemon, number):
        daemon.command = ["ip", "netns", "exec", f"{self.prefix}-{number}", KITHD]
        daemon.listen = f"10.78.0.{number}:{PORT}"

    def remove(self):
        if self.relay_pid:
            os.kill(self.relay_pid, signal.SIGKILL)
            os.waitpid(self.relay_pid, 0)
        for name in self.made:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


@contextlib.contextmanager
def delayed_network(count, delay):
    """`delay` in seconds, one way."""
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
        raise Skipped("a network with a delay needs root and /dev/net/tun")
    made = DelayedNetwork(count, delay)
    try:
        made.build()
        yield made
    finally:
        made.remove()
