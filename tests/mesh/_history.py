# SPDX-License-Identifier: MIT
"""Histories: clients of daemons that are killed and parted write down what they did and saw, and `sim --history` judges
it (tests/sim/history_file.h says what a line means).

A test runs shortly on loopback, or for SECONDS with five daemons in network namespaces and twenty clients.
"""

import contextlib
import itertools
import os
import pathlib
import random
import subprocess
import tempfile
import threading
import time

from _mesh import ROOT, Client, Failed, check, mesh, wait_for
from _network import network

SEED = 20261130
SIMULATOR = pathlib.Path(os.environ.get("SIM", ROOT / "build/release/sim"))


class Size:
    """By the words of the command line: [SECONDS]."""

    def __init__(self, words):
        self.is_long = bool(words)
        self.seconds = int(words[0]) if words else 10
        self.daemons = 5 if words else 3
        self.clients = 20 if words else 6

    def __str__(self):
        return f"{self.daemons} daemons, {self.clients} clients, {self.seconds} s"


def now_us():
    return time.monotonic_ns() // 1000


class Clock:
    """How long it goes on, and numbers that are given once."""

    def __init__(self, seconds):
        self.began, self.seconds = time.monotonic(), seconds
        self.lock, self.numbers = threading.Lock(), itertools.count(1)

    def elapsed(self):
        return time.monotonic() - self.began

    def is_over(self):
        return self.elapsed() > self.seconds

    def next_number(self):
        with self.lock:
            return next(self.numbers)


class Chronicler(threading.Thread):
    """A client that keeps to one daemon, also while that is killed and started again, and writes down what it does.
    What it does is operate(), of those that derive from it."""

    def __init__(self, number, daemons, clock):
        super().__init__()
        self.dice, self.clock = random.Random(SEED + number), clock
        self.place = number % len(daemons)
        self.daemon_process = daemons[self.place]
        self.client, self.life = None, 0
        self.lines = []
        self.counts = dict.fromkeys(["done", "looks", "refused", "unknown", "lost"], 0)
        self.error = None

    def run(self):
        try:
            while not self.clock.is_over():
                self.operate()
                time.sleep(self.dice.uniform(0.01, 0.08))  # a client that thinks
        except Exception as error:  # told to the test, which is another thread
            self.error = error
        self.hang_up()

    def call(self, method, **params):
        """(error, result), or None where the daemon died. A daemon that lives and does not answer fails the test."""
        try:
            return self.client.call(method, **params)
        except TimeoutError:
            raise Failed(f"{self.daemon_process.name} did not answer {method} within 15 s") from None
        except OSError:
            self.counts["lost"] += 1
            self.hang_up()
            return None

    def is_connected(self):
        """Where it is not, its daemon is down: nothing was asked."""
        if self.client is None:
            try:
                self.client = self.daemon_process.client()
                self.life = self.daemon_process.process.pid
            except OSError:
                time.sleep(0.05)  # until it is tried again
        return self.client is not None

    def hang_up(self):
        if self.client:
            self.client.close()
        self.client = None


def run_all(chroniclers, daemons, net, clock):
    """Runs them while daemons are killed. Returns what they wrote down."""
    for each in chroniclers:
        each.start()
    disturb(daemons, net, clock, random.Random(SEED))
    for each in chroniclers:
        each.join()
    for each in chroniclers:
        check(each.error is None, f"a client failed: {each.error!r}")
    return [line for each in chroniclers for line in each.lines]


def sum_of_counts(chroniclers):
    return {name: sum(each.counts[name] for each in chroniclers) for name in chroniclers[0].counts}


def disturb(daemons, net, clock, dice):
    """One daemon after the other is killed; now and then the mesh is parted."""
    while not clock.is_over():
        victim = dice.choice(daemons)
        victim.kill()
        if net and dice.random() < 0.3:
            net.part()
            time.sleep(dice.uniform(1, 4))  # the partition, not a wait for a state
            net.mend()
        else:
            time.sleep(dice.uniform(0.2, 1.5))  # it is down, not waited for
        victim.start()
        time.sleep(dice.uniform(0.5, 2))  # until the next fault


@contextlib.contextmanager
def disturbed_mesh(size):
    """Daemons, and the network that they are in, which only the long form has."""
    with contextlib.ExitStack() as stack:
        net = stack.enter_context(network(size.daemons)) if size.is_long else None
        yield stack.enter_context(mesh(size.daemons, prepare=net.place) if net else mesh(size.daemons)), net


def make_namespace(daemons, name, conflict):
    daemons[0].ok("ns_set", namespace=name, create=True, conflict=conflict)
    for daemon in daemons:
        wait_for(lambda: daemon.ok("ns_list")["namespaces"], f"{daemon.name} to hear of the namespace")


def bring_to_rest(daemons, seconds=180):
    """Until every daemon knows all, and says that it is equal to them and has nothing to hand on."""
    def is_at_rest(daemon):
        if daemon.alive() != len(daemons):
            return False
        with contextlib.closing(Client(daemon.socket, timeout=90)) as client:
            answer = client.ok("repair", now=True, wait_ms=30000)
        return answer["equal"] and answer["peers"] == len(daemons) - 1 and not any(answer["waiting"].values())

    wait_for(lambda: all(is_at_rest(daemon) for daemon in daemons), "all daemons to be equal", seconds)


def look_at_all(chroniclers, keys, kind, size):
    """What each daemon shows of each key, as a line of this kind."""
    for chronicler in chroniclers:
        for key in keys:
            wait_for(lambda: chronicler.is_connected() and chronicler.look(key, kind, r=min(3, size.daemons)),
                     f"{chronicler.daemon_process.name} to read {key}", 30)


def judge(lines):
    """What the simulator's checkers say of this history. One that does not hold is kept."""
    with tempfile.NamedTemporaryFile("w", prefix="kith-", suffix=".history", delete=False) as file:
        file.write("\n".join(lines) + "\n")
    looked = subprocess.run([SIMULATOR, "--history", file.name], capture_output=True, text=True, timeout=900,
                            check=False)
    check(looked.returncode == 0, f"{looked.stdout[-4000:]}{looked.stderr}the history is in {file.name}")
    os.unlink(file.name)
    return looked.stdout.strip()
