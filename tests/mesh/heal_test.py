#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Ten daemons under load and every fault at once: nothing acknowledged is lost, nothing deleted returns, and soon
after the last fault all replicas are equal.

  tests/mesh/heal_test.py [SECONDS]

N=3, W=2. Every 20 s three random daemons are killed with SIGKILL, and started again 5 s later; one of them loses its
database; and a partition parts the mesh five to five for a minute. 600 seconds is the full length; in less, all of it
happens in shorter time.
"""

import collections
import concurrent.futures
import contextlib
import hashlib
import random
import sqlite3
import sys
import time

from _mesh import check, mesh, run_tests, wait_for
from _network import network
from _workload import Writer, complaints, stop, value_of

SECONDS = int(sys.argv[1]) if len(sys.argv) > 1 else 600
SEED = 20261121
NODES, COPIES = 10, 3
KILL_EVERY = min(20, SECONDS / 3)
DOWN_SECONDS = KILL_EVERY / 4
PARTITION_SECONDS = min(60, SECONDS / 3)
EQUAL_WITHIN = 60
VALUE_BYTES = 1000
STILL_VALUES = 200 if SECONDS < 300 else 10_000  # written once, before the faults
IS_REPLICA = 2


def fill(daemon):
    """Values that nobody touches again: who loses its database must get its share of them back."""
    with contextlib.closing(daemon.client()) as client:
        client.socket.settimeout(90)
        for first in range(0, STILL_VALUES, 100):
            items = [{"key": f"still{i}", "value": value_of(i, VALUE_BYTES)} for i in range(first, first + 100)]
            check(client.ok("mput", items=items, wait="all", timeout_ms=60000)["failed"] == 0, "mput failed")


def still_values_missing(daemon):
    keys = [f"still{i}" for i in range(STILL_VALUES)]
    found = 0
    with contextlib.closing(daemon.client()) as client:
        client.socket.settimeout(90)
        for first in range(0, STILL_VALUES, 500):
            found += client.ok("mget", keys=keys[first:first + 500], r=COPIES, timeout_ms=60000)["found"]
    return STILL_VALUES - found


def lose_database(daemon):
    for file in daemon.home.glob("kith.db*"):
        file.unlink()


def repair_bytes(daemon):
    """What its repair has sent since it started."""
    return daemon.ok("repair")["bytes_sent"]


class Faults:
    """What befalls the mesh, by the clock."""

    def __init__(self, daemons, net, dice):
        self.daemons, self.net, self.dice = daemons, net, dice
        self.kills = self.repair_bytes = 0
        self.plan = []  # (when, what), in order

    def schedule(self):
        """All of it within SECONDS, and the last start at the end: the partition in the middle, the loss of a database
        in the first third."""
        rounds = int((SECONDS - DOWN_SECONDS) / KILL_EVERY) + 1
        for number in range(rounds):
            when = SECONDS - DOWN_SECONDS - KILL_EVERY * (rounds - 1 - number)
            victims = self.dice.sample(self.daemons, NODES // 3)
            self.plan.append((when, lambda victims=victims: self.kill(victims)))
            if number == rounds // 3:
                self.plan.append((when + DOWN_SECONDS / 2, lambda loser=victims[0]: lose_database(loser)))
            self.plan.append((when + DOWN_SECONDS, lambda victims=victims: self.start(victims)))
        middle = SECONDS / 2
        self.plan.append((middle - PARTITION_SECONDS / 2, self.net.part))
        self.plan.append((middle + PARTITION_SECONDS / 2, self.net.mend))
        self.plan.sort(key=lambda planned: planned[0])

    def run(self):
        began = time.monotonic()
        for when, what in self.plan:
            time.sleep(max(0.0, began + when - time.monotonic()))  # the load between two faults
            what()
        time.sleep(max(0.0, began + SECONDS - time.monotonic()))

    def kill(self, victims):
        for victim in victims:
            self.repair_bytes += repair_bytes(victim)
            victim.kill()
            self.kills += 1

    def start(self, victims):
        for victim in victims:
            victim.spawn()
        for victim in victims:
            wait_for(victim.answers, f"{victim.name} to answer")


def is_equal(daemon):
    with contextlib.closing(daemon.client()) as client:
        client.socket.settimeout(90)
        answer = client.ok("repair", wait_ms=2000)
    return answer["equal"] and not any(answer["waiting"].values())


def is_whole(daemon):
    status = daemon.ok("status")
    return status["members"]["alive"] == NODES and status["partitions"]["whole"] == status["partitions"]["held"]


def seconds_until_equal(daemons):
    """Until every daemon says that it is equal to all others, and that all its partitions are whole."""
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(NODES) as pool:
        wait_for(lambda: all(pool.map(is_whole, daemons)) and all(pool.map(is_equal, daemons)),
                 "all replicas to be equal", 3 * EQUAL_WITHIN)
    return time.monotonic() - began


def replicas_on_disk(daemon):
    """A digest of what it holds of each key, read from its database once it has stopped."""
    rows = collections.defaultdict(hashlib.sha256)
    with contextlib.closing(sqlite3.connect(f"file:{daemon.home}/kith.db?mode=ro", uri=True)) as database:
        check(database.execute("pragma integrity_check").fetchone()[0] == "ok", f"{daemon.name}: damaged")
        query = "select key_hash, record from records where roles & ? order by key_hash, actor_tag, variant"
        for key, record in database.execute(query, [IS_REPLICA]):
            rows[key].update(record)
    return {key: digest.digest() for key, digest in rows.items()}


def check_equal_on_disk(daemons):
    """What the daemons say of themselves, seen from outside. Returns how many keys there are."""
    with concurrent.futures.ThreadPoolExecutor(NODES) as pool:
        list(pool.map(lambda daemon: daemon.stop(), daemons))  # at once, so that nobody stands in for another
    held = collections.defaultdict(list)
    for daemon in daemons:
        for key, digest in replicas_on_disk(daemon).items():
            held[key].append(digest)
    too_few = sum(len(digests) != COPIES for digests in held.values())
    different = sum(len(set(digests)) > 1 for digests in held.values())
    check(too_few == 0 and different == 0, f"of {len(held)} keys {different} differ between their replicas, and "
          f"{too_few} are not held by exactly {COPIES}")
    return len(held)


def describe(writers, faults, took, keys):
    written, failed = sum(w.acknowledged for w in writers), sum(w.failures for w in writers)
    print(f"   {SECONDS} s: {faults.kills} kills, one database lost, {PARTITION_SECONDS:.0f} s parted; "
          f"{written} writes acknowledged, {failed} not\n"
          f"   {keys} keys of {VALUE_BYTES} bytes, {COPIES} copies each; equal {took:.1f} s after the last fault; "
          f"repair sent {faults.repair_bytes / 1e6:.1f} MB, of at most 4 MiB/s a daemon", flush=True)


def a_mesh_that_suffers_every_fault_at_once_loses_nothing_and_heals():
    dice = random.Random(SEED)
    with network(NODES) as net, mesh(NODES, prepare=net.place) as daemons:
        fill(daemons[0])
        writers = [Writer(daemon, number, keys=100, value_bytes=VALUE_BYTES, deletes=0.25, pause=0.05)
                   for number, daemon in enumerate(daemons)]
        faults = Faults(daemons, net, dice)
        faults.schedule()
        for writer in writers:
            writer.start()
        try:
            faults.run()
        finally:
            stop(writers)
        took = seconds_until_equal(daemons)
        faults.repair_bytes += sum(map(repair_bytes, daemons))
        reader = dice.choice(daemons)
        wrong, missing = complaints(writers, reader), still_values_missing(reader)
        describe(writers, faults, took, check_equal_on_disk(daemons))
        check(not wrong, f"{len(wrong)} keys are wrong: " + "; ".join(wrong[:5]))
        check(missing == 0, f"{missing} of the values that nobody touched are gone")
        check(took <= EQUAL_WITHIN, f"replicas were equal only after {took:.1f} s")


run_tests(a_mesh_that_suffers_every_fault_at_once_loses_nothing_and_heals)
