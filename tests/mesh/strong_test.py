#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Strong keys on real daemons: under kills, and partitions, what clients see is linearizable.

  tests/mesh/strong_test.py            3 daemons, 6 clients, 10 s, kills
  tests/mesh/strong_test.py SECONDS    5 daemons in network namespaces, 20 clients, with partitions too

Each client reads, writes, deletes and compares a few keys, through one daemon after the other, and writes down what it
saw. `sim --history` looks for an order in which all of it can have happened.
"""

import contextlib
import random
import sys
import threading
import time

from _history import SEED, Clock, Size, disturb, disturbed_mesh, judge, make_namespace, now_us
from _mesh import check, run_tests, wait_for

SIZE = Size(sys.argv[1:])
KEYS = 4
SECONDS_A_KEY = 5  # then others are used: no history is too long to be looked through


class Using(threading.Thread):
    def __init__(self, number, daemons, clock):
        super().__init__()
        self.dice, self.daemons, self.clock = random.Random(SEED + number), daemons, clock
        self.client = None
        self.known = {}  # by key: a value that was there, and its version
        self.lines = []
        self.counts = dict.fromkeys(["done", "refused", "unknown", "unavailable", "lost"], 0)
        self.error = None

    def run(self):
        try:
            while not self.clock.is_over():
                self.operate(f"locks/{int(self.clock.elapsed() / SECONDS_A_KEY)}-{self.dice.randrange(KEYS)}")
                time.sleep(self.dice.uniform(0.01, 0.08))  # a client that thinks
        except Exception as error:  # told to the test, which is another thread
            self.error = error

    def connect(self):
        if self.client is None or self.dice.random() < 0.05:
            if self.client:
                self.client.close()
            self.client = None
            self.client = self.dice.choice(self.daemons).client()

    def operate(self, key):
        kind = self.dice.choices(["read", "write", "compare"], [3, 3, 4])[0]
        expected, value, params = 0, 0, {"key": key}
        if kind == "compare":
            if key in self.known and self.dice.random() < 0.7:
                expected, params["if_version"] = self.known[key]
            else:
                params["if_absent"] = True
        method = "get" if kind == "read" else "put"
        if kind != "read" and self.dice.random() < 0.8:
            value = self.clock.next_number()
            params["value"] = str(value)
        elif kind != "read":
            method = "del"
        began = now_us()
        try:
            self.connect()
            began = now_us()
            error, result = self.client.call(method, **params)
        except OSError:  # its daemon was killed
            self.client = None
            self.counts["lost"] += 1
            if kind != "read":
                self.note(key, kind, "unknown", value, expected, began)
            return
        self.take(key, kind, value, expected, began, error, result)

    def take(self, key, kind, value, expected, began, error, result):
        code = error and error["code"]
        check(code in (None, "conflict", "unavailable", "indeterminate"), f"{kind} of {key} failed: {error}")
        outcome = {None: "done", "conflict": "refused", "indeterminate": "unknown"}.get(code, "unavailable")
        self.counts[outcome] += 1
        if outcome == "unavailable" or (outcome == "unknown" and kind == "read"):
            return
        if kind == "read":
            value = int(result["values"][0]["value"]) if result["found"] else 0
        if outcome == "done" and value != 0:
            self.known[key] = (value, result["version"])
        self.note(key, kind, outcome, value, expected, began)

    def note(self, key, kind, outcome, value, expected, began):
        self.lines.append(f"{key} {kind} {outcome} {value} {expected} {began} {now_us()}")


@contextlib.contextmanager
def strong_mesh():
    with disturbed_mesh(SIZE) as (daemons, net):
        make_namespace(daemons, "locks", "strong")
        replicas = min(3, SIZE.daemons)
        wait_for(lambda: voters(daemons[0]) == replicas, f"{replicas} voters", 60)
        yield daemons, net


def voters(daemon):
    """Of how many a write is told. Keys of all shards: each shard has voters of its own."""
    return min(daemon.ok("put", key=f"locks/voters-{i}", value="x")["wanted"] for i in range(64))


def read_by_all(daemons, keys):
    lines = []
    for daemon in daemons:
        with contextlib.closing(daemon.client()) as client:
            for key in keys:
                def read(key=key, client=client):
                    began = now_us()
                    error, result = client.call("get", key=key, timeout_ms=5000)
                    return error is None and (began, result)
                began, result = wait_for(read, f"{daemon.name} to read {key}", 30)
                value = int(result["values"][0]["value"]) if result["found"] else 0
                lines.append(f"{key} read done {value} 0 {began} {now_us()}")
    return lines


def what_clients_see_of_strong_keys_is_linearizable_under_kills_and_partitions():
    with strong_mesh() as (daemons, net):
        clock = Clock(SIZE.seconds)
        threads = [Using(number, daemons, clock) for number in range(SIZE.clients)]
        for thread in threads:
            thread.start()
        disturb(daemons, net, clock, random.Random(SEED))
        for thread in threads:
            thread.join()
            check(thread.error is None, f"a client failed: {thread.error!r}")
        lines = [line for thread in threads for line in thread.lines]
        lines += read_by_all(daemons, sorted({line.split()[0] for line in lines}))
    counts = {name: sum(thread.counts[name] for thread in threads) for name in threads[0].counts}
    check(counts["done"] > 10 * SIZE.clients, f"too little was done: {counts}")
    print(f"   {SIZE}: {counts}\n   {judge(lines)}")


run_tests(what_clients_see_of_strong_keys_is_linearizable_under_kills_and_partitions)
