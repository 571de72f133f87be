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
import time

from _mesh import check, mesh, run_tests, wait_for
from _workload import Writer, complaints, stop

KILLS = int(sys.argv[1]) if len(sys.argv) > 1 else 8
SEED = 20261121


def acknowledged_writes_survive_kills_of_random_daemons():
    dice = random.Random(SEED)
    with mesh(5) as daemons:
        writers = [Writer(daemon, number) for number, daemon in enumerate(daemons)]
        for writer in writers:
            writer.start()
        try:
            for kill in range(KILLS):
                before = sum(w.acknowledged for w in writers)
                wait_for(lambda: sum(w.acknowledged for w in writers) > before, "writes to go on")
                time.sleep(dice.random() * 0.3)  # the load between two kills, not a wait for a state
                victim = dice.choice(daemons)
                victim.kill()
                victim.start()
        finally:
            stop(writers)
        for daemon in daemons:
            wait_for(lambda: daemon.alive() == 5, f"{daemon.name} to see all five", 40)
        lost = complaints(writers, dice.choice(daemons))
        print(f"   {KILLS} kills, {sum(len(w.keys) for w in writers)} keys, {sum(w.count for w in writers)} writes, "
              f"{sum(w.failures for w in writers)} refused or unanswered, {len(lost)} acknowledged values lost")
        check(not lost, "; ".join(lost[:5]))
        for daemon in daemons:
            daemon.stop()
            with contextlib.closing(sqlite3.connect(daemon.home / "kith.db")) as database:
                verdict = database.execute("PRAGMA integrity_check").fetchone()[0]
            check(verdict == "ok", f"{daemon.name}: integrity_check says {verdict}")


run_tests(acknowledged_writes_survive_kills_of_random_daemons)
