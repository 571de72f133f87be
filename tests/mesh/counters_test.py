#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Counters on real daemons: under kills, and partitions, each increment counts once, and a reset stays a reset.

  tests/mesh/counters_test.py            3 daemons, 6 clients, 10 s, kills
  tests/mesh/counters_test.py SECONDS    5 daemons in network namespaces, 20 clients, with partitions too

Each client counts on keys that all share. What is not acknowledged it asks for again with the same operation id, of
the same daemon, until it gives up; some of what is acknowledged it asks for once more. The increments of a key are
different powers of two, so that what it stands at tells which of them were counted.
"""

import random
import sys
import threading

from _history import (SEED, Chronicler, Clock, Size, bring_to_rest, disturbed_mesh, judge, look_at_all,
                      now_us, run_all, sum_of_counts)
from _mesh import Failed, check, run_tests, wait_for

SIZE = Size(sys.argv[1:])
KEYS = 40 if SIZE.is_long else 12  # at a time
INCREMENTS = 50                    # of a key, then another one takes its place


class Amounts:
    """What is to be counted next, and where."""

    def __init__(self):
        self.lock = threading.Lock()
        self.given = [0] * KEYS  # of each key in use
        self.turns = [0] * KEYS  # how many were used up in its place

    def key(self, dice):
        place = dice.randrange(KEYS)
        return f"visits/{place}-{self.turns[place]}"

    def take(self, dice):
        with self.lock:
            place = dice.randrange(KEYS)
            amount = 1 << self.given[place]
            key = f"visits/{place}-{self.turns[place]}"
            self.given[place] += 1
            if self.given[place] == INCREMENTS:
                self.given[place] = 0
                self.turns[place] += 1
        return key, -amount if dice.random() < 0.25 else amount


class Counting(Chronicler):
    def __init__(self, number, daemons, clock, amounts):
        super().__init__(number, daemons, clock)
        self.amounts = amounts
        self.counts["repeated"] = 0

    def operate(self):
        dice = self.dice.random()
        if not self.is_connected():
            return
        if dice < 0.65:
            self.count(*self.amounts.take(self.dice))
        elif dice < 0.69:
            self.reset(self.amounts.key(self.dice))
        else:
            self.look(self.amounts.key(self.dice))

    def count(self, key, amount):
        params = {"key": key, "by": amount, "op_id": self.dice.randbytes(16), "timeout_ms": 3000}
        began = now_us()
        is_done = self.ask("incr", **params)
        while not is_done and self.dice.random() < 0.9:
            wait_for(self.is_connected, f"{self.daemon_process.name} to be there again", 60)
            self.counts["repeated"] += 1
            is_done = self.ask("incr", **params)
        self.note(key, "incr", is_done, began, amount)
        if is_done and self.dice.random() < 0.1 and self.is_connected():
            self.counts["repeated"] += 1
            self.ask("incr", **params)

    def reset(self, key):
        began = now_us()
        self.note(key, "reset", self.ask("incr", key=key, reset=True, timeout_ms=3000), began, 0)

    def ask(self, method, **params):
        """Whether it was acknowledged."""
        error, _ = self.call(method, **params) or ({"code": "lost"}, None)
        if error is not None and error["code"] not in ("timeout", "indeterminate", "unavailable", "lost"):
            raise Failed(f"a daemon answered {error}")
        return error is None

    def look(self, key, kind="sum", **params):
        """Whether it was answered, and not by too few."""
        began = now_us()
        error, result = self.call("get", key=key, **params) or ({"code": "timeout"}, None)
        if error is not None:
            check(error["code"] in ("timeout", "unavailable"), f"a daemon answered {error}")
            return False
        self.counts["looks"] += 1
        self.lines.append(f"{key} {kind} done {began} {now_us()} {self.place} {self.sum_of(result)}")
        return not result["degraded"]

    @staticmethod
    def sum_of(answer):
        if not answer["found"]:
            return 0
        check(answer["values"][0].get("counter"), f"{answer['key']} is no counter: {answer['values']}")
        return int(answer["values"][0]["value"])

    def note(self, key, kind, is_done, began, amount):
        self.counts["done" if is_done else "unknown"] += 1
        outcome = "done" if is_done else "unknown"
        self.lines.append(f"{key} {kind} {outcome} {began} {now_us()} {self.place} {amount}")


def reset_at_rest(clients, keys, dice):
    """Half of them: each daemon's share of what was counted is to be gone."""
    for key in dice.sample(keys, len(keys) // 2):
        client = dice.choice(clients)
        check(client.is_connected(), f"{client.daemon_process.name} is gone")
        client.reset(key)


def each_increment_counts_once_and_a_reset_stays_a_reset():
    with disturbed_mesh(SIZE) as (daemons, net):
        clock, amounts = Clock(SIZE.seconds), Amounts()
        clients = [Counting(number, daemons, clock, amounts) for number in range(SIZE.clients)]
        lines = run_all(clients, daemons, net, clock)
        keys = sorted({line.split()[0] for line in lines})
        dice = random.Random(SEED)
        last = [Counting(number, daemons, clock, amounts) for number in range(SIZE.daemons)]
        bring_to_rest(daemons)
        look_at_all(last, keys, "final-sum", SIZE)
        reset_at_rest(last, keys, dice)
        victim = dice.choice(daemons)
        victim.kill()
        victim.start()
        bring_to_rest(daemons)
        look_at_all(last, keys, "final-sum", SIZE)
        lines += [line for client in last for line in client.lines]
    counts = sum_of_counts(clients)
    check(counts["done"] > 10 * SIZE.clients, f"too little was done: {counts}")
    print(f"   {SIZE}: {counts}\n   {judge(lines)}")


run_tests(each_increment_counts_once_and_a_reset_stays_a_reset)
