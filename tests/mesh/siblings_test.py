#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A namespace of siblings on real daemons: under kills, and partitions, no acknowledged value is lost unless a write
that had seen it replaced it, and nothing that was replaced comes back.

  tests/mesh/siblings_test.py            3 daemons, 6 clients, 10 s, kills
  tests/mesh/siblings_test.py SECONDS    5 daemons in network namespaces, 20 clients, with partitions too

Each client reads a few keys that all share, writes and deletes them with the version that it holds, or without one. It
never writes with a version older than its own last write, so there are never more values than clients.
"""

import random
import re
import sys

from _history import (SEED, Chronicler, Clock, Size, bring_to_rest, disturbed_mesh, judge, look_at_all,
                      make_namespace, now_us, run_all, sum_of_counts)
from _mesh import Failed, check, run_tests

SIZE = Size(sys.argv[1:])
KEYS = 8
SECONDS_A_KEY = 15  # then others are used: the checker looks at each value in each read of a key


class Sharing(Chronicler):
    def __init__(self, number, daemons, clock):
        super().__init__(number, daemons, clock)
        self.known = {}  # by key: the version that it holds, and the operation that gave it

    def operate(self):
        key = f"shared/{int(self.clock.elapsed() / SECONDS_A_KEY)}-{self.dice.randrange(KEYS)}"
        dice = self.dice.random()
        if not self.is_connected():
            return
        if dice < 0.12:
            self.write(key, "del" if dice < 0.03 else "put", is_blind=True)
        elif dice < 0.45 or key not in self.known:
            self.look(key)
        else:
            self.write(key, "del" if dice < 0.55 else "put", is_blind=False)

    def look(self, key, kind="look", **params):
        """Whether it was answered, and not by too few."""
        began = now_us()
        error, result = self.call("get", key=key, **params) or ({"code": "timeout"}, None)
        if error is not None:
            self.expect(error, "timeout", "unavailable")
            return False
        number = self.clock.next_number()
        self.known[key] = (result["version"], number)
        self.counts["looks"] += 1
        outcome = "degraded" if result["degraded"] else "done"
        seen = ",".join(value["value"].decode() for value in result["values"]) or "-"
        self.note(key, kind, outcome, began, number, seen)
        return outcome == "done"

    def write(self, key, method, is_blind):
        number = self.clock.next_number()
        version, basis = (None, 0) if is_blind else self.known[key]
        params = {"key": key, "timeout_ms": 3000}
        if method == "put":
            params["value"] = str(number)
        if version is not None:
            params["version"] = version
        began = now_us()
        error, result = self.call(method, **params) or ({"code": "lost"}, None)
        self.known.pop(key, None)
        if error is not None:
            self.expect(error, "timeout", "indeterminate", "unavailable", "lost")
            self.counts["unknown"] += 1
        else:
            self.counts["done"] += 1
            # A version that did not change does not cover this write: who writes again reads before.
            if result["version"] != version:
                self.known[key] = (result["version"], number)
        self.note(key, method, "done" if error is None else "unknown", began, number, basis)

    def expect(self, error, *codes):
        if error["code"] not in codes:
            raise Failed(f"a daemon answered {error}")

    def note(self, key, kind, outcome, began, number, last):
        self.lines.append(f"{key} {kind} {outcome} {began} {now_us()} {self.place} {self.life} {number} {last}")


def write_at_rest(clients, keys, dice):
    """What stands there now is replaced, or deleted, for good."""
    for key in keys:
        client = dice.choice(clients)
        check(client.is_connected() and client.look(key), f"{key} cannot be read")
        client.write(key, dice.choice(["put", "del"]), is_blind=dice.random() < 0.5)


def no_value_is_lost_that_no_later_write_had_seen_and_none_that_was_replaced_comes_back():
    with disturbed_mesh(SIZE) as (daemons, net):
        make_namespace(daemons, "shared", "siblings")
        clock = Clock(SIZE.seconds)
        clients = [Sharing(number, daemons, clock) for number in range(SIZE.clients)]
        lines = run_all(clients, daemons, net, clock)
        keys = sorted({line.split()[0] for line in lines})
        dice = random.Random(SEED)
        last = [Sharing(number, daemons, clock) for number in range(SIZE.daemons)]
        bring_to_rest(daemons)
        look_at_all(last, keys, "final-look", SIZE)
        write_at_rest(last, keys, dice)
        victim = dice.choice(daemons)
        victim.kill()
        victim.start()
        bring_to_rest(daemons)
        look_at_all(last, keys, "final-look", SIZE)
        lines += [line for client in last for line in client.lines]
    counts = sum_of_counts(clients)
    check(counts["done"] > 10 * SIZE.clients, f"too little was done: {counts}")
    summary = judge(lines)
    siblings_max = int(re.search(r"at most (\d+) siblings", summary)[1])
    check(1 < siblings_max <= SIZE.clients, f"there were {siblings_max} siblings of {SIZE.clients} clients")
    print(f"   {SIZE}: {counts}\n   {summary}")


run_tests(no_value_is_lost_that_no_later_write_had_seen_and_none_that_was_replaced_comes_back)
