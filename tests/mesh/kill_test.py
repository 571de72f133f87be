#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""kill -9 of random daemons under a steady load: nothing acknowledged is lost, and every database stays whole.

  tests/mesh/kill_test.py [KILLS]

Five processes, N=3, W=2. One client a daemon writes keys of its own, each again and again with a rising number; a
number that was acknowledged may be followed by a later one, never by an earlier one.
"""

import contextlib
import random
import sqlite3
import sys
import threading
import time

from _mesh import Client, Failed, check, mesh, run_tests, wait_for

KILLS = int(sys.argv[1]) if len(sys.argv) > 1 else 8
SEED = 20261121


class Writer(threading.Thread):
    """Writes numbers to its own keys through one daemon for as long as it is told to."""

    def __init__(self, daemon, number):
        super().__init__()
        self.daemon_process, self.number = daemon, number
        self.acknowledged, self.tried = {}, {}
        self.failures = 0
        self.is_stopped = False

    def run(self):
        client, count = None, 0
        while not self.is_stopped:
            count += 1
            key = f"writer{self.number}-{count % 20}"
            self.tried[key] = count
            try:
                client = client or Client(self.daemon_process.socket, timeout=8)
                error, _ = client.call("put", key=key, value=str(count).encode(), timeout_ms=3000)
                if error is None:
                    self.acknowledged[key] = count
                else:
                    self.failures += 1
            except OSError:
                self.failures += 1
                if client:
                    client.close()
                client = None
                time.sleep(0.05)  # the daemon is dead; it is started again by the main thread
        if client:
            client.close()


def read_number(daemon, key):
    answer = daemon.ok("get", key=key, r=3, timeout_ms=10000)
    return int(answer["values"][0]["value"]) if answer["found"] else 0


def acknowledged_writes_survive_kills_of_random_daemons():
    dice = random.Random(SEED)
    with mesh(5) as daemons:
        writers = [Writer(daemon, number) for number, daemon in enumerate(daemons)]
        for writer in writers:
            writer.start()
        try:
            for kill in range(KILLS):
                before = sum(len(w.acknowledged) and sum(w.acknowledged.values()) for w in writers)
                wait_for(lambda: sum(sum(w.acknowledged.values()) for w in writers) > before, "writes to go on")
                time.sleep(dice.random() * 0.3)  # the load between two kills, not a wait for a state
                victim = dice.choice(daemons)
                victim.kill()
                victim.start()
        finally:
            for writer in writers:
                writer.is_stopped = True
            for writer in writers:
                writer.join()
        for daemon in daemons:
            wait_for(lambda: daemon.alive() == 5, f"{daemon.name} to see all five", 40)
        lost, total = [], 0
        for writer in writers:
            for key, number in writer.acknowledged.items():
                total += 1
                seen = read_number(dice.choice(daemons), key)
                if not number <= seen <= writer.tried[key]:
                    lost.append(f"{key}: acknowledged {number}, read {seen}")
        written = sum(sum(1 for _ in w.acknowledged) for w in writers)
        print(f"   {KILLS} kills, {written} keys, {sum(max(w.tried.values()) for w in writers)} writes, "
              f"{sum(w.failures for w in writers)} refused or unanswered, {len(lost)} acknowledged values lost")
        check(not lost, "; ".join(lost[:5]))
        for daemon in daemons:
            daemon.stop()
            with contextlib.closing(sqlite3.connect(daemon.home / "kith.db")) as database:
                verdict = database.execute("PRAGMA integrity_check").fetchone()[0]
            check(verdict == "ok", f"{daemon.name}: integrity_check says {verdict}")


run_tests(acknowledged_writes_survive_kills_of_random_daemons)
