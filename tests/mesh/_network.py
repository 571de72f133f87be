# SPDX-License-Identifier: MIT
"""A network of its own for real daemons: each in a network namespace, on one of two switches that a cable joins.

               cable
  switch a ─────────────── switch b         in the namespace `hub`
   │   │                    │   │
  node1 node2 …            node6 node7 …    a namespace each, 10.77.0.N

Pulling the cable parts the halves: packets vanish, nothing is refused.
"""

import contextlib
import os
import shutil
import subprocess

from _mesh import KITHD, Skipped

PORT = 5484


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Network:
    """Requires: may_make_namespaces()."""

    def __init__(self, count):
        self.count = count
        self.prefix = f"kith{os.getpid()}"
        self.hub = f"{self.prefix}-hub"
        self.made = []

    def build(self):
        self.make_namespace(self.hub)
        for side in "ab":
            ip("-n", self.hub, "link", "add", f"switch-{side}", "type", "bridge")
            ip("-n", self.hub, "link", "set", f"switch-{side}", "up")
        ip("-n", self.hub, "link", "add", "cable-a", "type", "veth", "peer", "name", "cable-b")
        for side in "ab":
            ip("-n", self.hub, "link", "set", f"cable-{side}", "master", f"switch-{side}")
        self.mend()
        for number in range(1, self.count + 1):
            self.add_node(number)

    def make_namespace(self, name):
        ip("netns", "add", name)
        self.made.append(name)

    def add_node(self, number):
        name, port = self.namespace(number), f"port{number}"
        self.make_namespace(name)
        ip("-n", self.hub, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("-n", self.hub, "link", "set", port, "master", f"switch-{self.side(number)}")
        ip("-n", self.hub, "link", "set", port, "up")
        ip("-n", name, "addr", "add", f"10.77.0.{number}/24", "dev", "eth0")
        ip("-n", name, "link", "set", "eth0", "up")
        ip("-n", name, "link", "set", "lo", "up")

    def namespace(self, number):
        return f"{self.prefix}-{number}"

    def side(self, number):
        return "a" if number <= self.count // 2 else "b"

    def place(self, daemon, number):
        """Has the daemon run on this node from its next start on."""
        daemon.command = ["ip", "netns", "exec", self.namespace(number), KITHD]
        daemon.listen = f"10.77.0.{number}:{PORT}"

    def part(self):
        ip("-n", self.hub, "link", "set", "cable-a", "down")

    def mend(self):
        for side in "ab":
            ip("-n", self.hub, "link", "set", f"cable-{side}", "up")

    def remove(self):
        for name in self.made:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def skip_unless_namespaces_can_be_made():
    if os.geteuid() != 0:
        raise Skipped("network namespaces need root")
    if shutil.which("ip") is None:
        raise Skipped("there is no `ip` (package iproute2)")
    probe = f"kith{os.getpid()}-probe"
    try:
        ip("netns", "add", probe)
        ip("-n", probe, "link", "add", "one", "type", "veth", "peer", "name", "two")
        ip("-n", probe, "link", "add", "switch", "type", "bridge")
    except subprocess.CalledProcessError as error:
        raise Skipped(f"network namespaces cannot be made here: {error.stderr.decode().strip()}") from None
    finally:
        subprocess.run(["ip", "netns", "del", probe], check=False, capture_output=True)


@contextlib.contextmanager
def network(count):
    skip_unless_namespaces_can_be_made()
    made = Network(count)
    try:
        made.build()
        yield made
    finally:
        made.remove()
