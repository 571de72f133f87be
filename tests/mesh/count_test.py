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
            check(error["code"] in ("timeout", "unavailable"), f"incr failed: {error}")
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
        check(all(t.done == INCREMENTS for t in threads), "a client gave up")
        unknown = [by for t in threads for by in t.unknown]
        allowed = sums_of_some(expected, unknown)
        replicas = min(3, DAEMONS)
        for daemon in daemons:
            wait_for(lambda: value_at(daemon, replicas) in allowed,
                     f"{daemon.name} to read {sorted(allowed)}, not {value_at(daemon, replicas)}", 60)
        print(f"   {DAEMONS} daemons, {INCREMENTS * DAEMONS} increments, {sum(t.tries for t in threads)} tries, "
              f"{len(unknown)} unknown, {'one partition, ' if net else ''}the counter stands at {expected}")


def a_reset_stays_while_others_go_on_counting():
    """Each daemon counts ones. What was acknowledged before the reset began is gone, but for other daemons' that its
    read did not reach; what began after it had ended is all there."""
    with mesh(DAEMONS) as daemons:
        counted = {daemon.name: [] for daemon in daemons}  # (began, ended) of each

        def count(daemon):
            with contextlib.closing(daemon.client()) as client:
                for _ in range(60):
                    began = time.monotonic()
                    client.ok("incr", key=KEY)
                    counted[daemon.name].append((began, time.monotonic()))

        threads = [threading.Thread(target=count, args=(daemon,)) for daemon in daemons]
        for thread in threads:
            thread.start()
        wait_for(lambda: sum(len(each) for each in counted.values()) > 20 * DAEMONS, "counting to be under way")
        began = time.monotonic()
        daemons[0].ok("incr", key=KEY, reset=True)
        ended = time.monotonic()
        for thread in threads:
            thread.join()
        every = [times for each in counted.values() for times in each]
        check(len(every) == 60 * DAEMONS, "a client ended early")
        least = sum(1 for start, _ in every if start > ended)
        own = sum(1 for _, end in counted[daemons[0].name] if end < began)
        read_by_all = set()
        for daemon in daemons:
            value = wait_for(lambda: value_at(daemon, min(3, DAEMONS)), f"{daemon.name} to read", 30)
            check(least <= value <= len(every) - own, f"{daemon.name} reads {value}, not {least} to {len(every) - own}")
            read_by_all.add(value)
        check(len(read_by_all) == 1, f"the daemons read {read_by_all}")
        print(f"   {len(every)} increments, {least} of them after the reset, which left {read_by_all}")


run_tests(a_counter_stands_at_what_was_acknowledged_after_kills_and_retries,
          a_reset_stays_while_others_go_on_counting)
