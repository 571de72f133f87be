#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Counters on real daemons: with kills and retries they stand at exactly what was acknowledged.

  tests/mesh/count_test.py [DAEMONS INCREMENTS]    in network namespaces, with a partition too

One client a daemon counts on one key. What is not acknowledged is asked for again with the same operation id, of the
same daemon, until it is: it must count once.
"""

import contextlib
import os
import random
import sys
import threading
import time

from _mesh import check, mesh, run_tests, wait_for
from _network import network

DAEMONS = int(sys.argv[1]) if len(sys.argv) > 2 else 4
INCREMENTS = int(sys.argv[2]) if len(sys.argv) > 2 else 200
HAS_PARTITION = len(sys.argv) > 2
SEED = 20261129
KEY = "visits"


class Counting(threading.Thread):
    """Counts through one daemon, also while that is killed and started again."""

    def __init__(self, daemon, number, increments):
        super().__init__()
        self.target, self.dice, self.increments = daemon, random.Random(SEED + number), increments
        self.sum = self.tries = self.done = 0
        self.unknown = []
        self.client = None

    def run(self):
        for _ in range(self.increments):
            by = self.dice.choice([1, 1, 1, 2, 5, -1])
            if self.count(by, os.urandom(16)):
                self.sum += by
            else:
                self.unknown.append(by)
            self.done += 1

    def count(self, by, op_id):
        end = time.monotonic() + 120
        while time.monotonic() < end:
            self.tries += 1
            try:
                self.client = self.client or self.target.client()
                error, _ = self.client.call("incr", key=KEY, by=by, op_id=op_id)
            except OSError:  # its daemon was killed
                if self.client:
                    self.client.close()
                self.client = None
                time.sleep(0.05)  # before it is tried again
                continue
            if error is None:
                return True
            if error["code"] == "indeterminate":
                return False
        return False


def sums_of_some(start, amounts):
    sums = {start}
    for amount in amounts:
        sums |= {each + amount for each in sums}
    return sums


def value_at(daemon, replicas):
    answer = daemon.ok("get", key=KEY, r=replicas, timeout_ms=10000)
    return int(answer["values"][0]["value"]) if answer["found"] and not answer["degraded"] else None


def count_under_faults(daemons, net, dice):
    threads = [Counting(daemon, number, INCREMENTS) for number, daemon in enumerate(daemons)]
    for thread in threads:
        thread.start()
    total = INCREMENTS * len(daemons)
    faults = 4
    for fault in range(faults):
        wait_for(lambda: sum(t.done for t in threads) >= total * (fault + 1) // (faults + 2), "counting to go on", 600)
        victim = dice.choice(daemons)
        victim.kill()
        if net and fault == 1:
            net.part()
            time.sleep(5)  # the partition, not a wait for a state
            net.mend()
        victim.start()
    for thread in threads:
        thread.join()
    return threads


@contextlib.contextmanager
def counting_mesh():
    if not HAS_PARTITION:
        with mesh(DAEMONS) as daemons:
            yield daemons, None
        return
    with network(DAEMONS) as net, mesh(DAEMONS, prepare=net.place) as daemons:
        yield daemons, net


def a_counter_stands_at_what_was_acknowledged_after_kills_and_retries():
    dice = random.Random(SEED)
    with counting_mesh() as (daemons, net):
        threads = count_under_faults(daemons, net, dice)
        expected = sum(t.sum for t in threads)
        unknown = [by for t in threads for by in t.unknown]
        allowed = sums_of_some(expected, unknown)
        replicas = min(3, DAEMONS)
        for daemon in daemons:
            wait_for(lambda: value_at(daemon, replicas) in allowed,
                     f"{daemon.name} to read {sorted(allowed)}, not {value_at(daemon, replicas)}", 60)
        print(f"   {DAEMONS} daemons, {INCREMENTS * DAEMONS} increments, {sum(t.tries for t in threads)} tries, "
              f"{len(unknown)} unknown, {'one partition, ' if net else ''}the counter stands at {expected}")
        a_reset_stays_while_others_go_on_counting(daemons, threads)


def a_reset_stays_while_others_go_on_counting(daemons, before):
    daemons[0].ok("incr", key=KEY, reset=True, w=min(3, DAEMONS), timeout_ms=10000)
    again = [Counting(daemon, 100 + number, 20) for number, daemon in enumerate(daemons)]
    for thread in again:
        thread.start()
    for thread in again:
        thread.join()
    expected = sum(t.sum for t in again)
    check(not any(t.unknown for t in again), "an increment without a fault was not acknowledged")
    for daemon in daemons:
        wait_for(lambda: value_at(daemon, min(3, DAEMONS)) == expected,
                 f"{daemon.name} to read {expected} after a reset at {sum(t.sum for t in before)}", 30)


run_tests(a_counter_stands_at_what_was_acknowledged_after_kills_and_retries)
