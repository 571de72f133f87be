#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The p99 of puts while a large database is being snapshot, beside their p99 without, in the same run.

  tests/bench/snapshot.py [MEGABYTES] [PUTS_PER_SECOND]

One daemon with full durability. Puts of 1 kB are due at fixed times and measured from when they were due, so that a
stall counts for every put that it holds up, not for one. Quiet stretches stand before and after each snapshot. To
reach: below 3 times.
"""

import contextlib
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "mesh"))
from _mesh import Client, Daemon, Failed, check, folder  # noqa: E402
from _puts import PacedPuts, describe  # noqa: E402

MEGABYTES = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
RATE = int(sys.argv[2]) if len(sys.argv) > 2 else 400
ROUNDS = 3
QUIET_SECONDS = 8
TO_REACH = 3.0
VALUE_BYTES = 16_000


def fill(daemon):
    """Values until the database has its size, 200 in a request, two requests on their way."""
    count = MEGABYTES * 1_000_000 // VALUE_BYTES
    client, in_flight = daemon.client(), 0
    client.socket.settimeout(120)
    for first in range(0, count, 200):
        items = [{"key": f"fill{i}", "value": os.urandom(VALUE_BYTES)} for i in range(first, min(first + 200, count))]
        client.send("mput", items=items, timeout_ms=60000)
        in_flight += 1
        while in_flight >= 2 or (in_flight and first + 200 >= count):
            message = client.receive()
            check(message[0] == 2 or message[2] is None, f"mput failed: {message}")
            in_flight -= message[0] == 1
    client.close()


def snapshot(daemon, path):
    with contextlib.closing(Client(daemon.socket, timeout=600)) as client:
        start = time.monotonic()
        answer = client.ok("snapshot", file=str(path))
        end = time.monotonic()
    size = path.stat().st_size
    path.unlink()
    print(f"  {size / 1e6:.0f} MB copied in {end - start:.1f} s ({size / 1e6 / (end - start):.0f} MB/s)", flush=True)
    check(answer["bytes"] > 0.9 * MEGABYTES * 1e6, f"only {answer['bytes']} bytes")
    return start, end


def measure(daemon, path):
    load = PacedPuts(daemon, RATE)
    load.start()
    stretches = [(time.monotonic() + 1, time.monotonic() + QUIET_SECONDS)]
    snapshots = []
    time.sleep(QUIET_SECONDS)  # the load itself, not a wait for a state
    for _ in range(ROUNDS):
        snapshots.append(snapshot(daemon, path))
        stretches.append((time.monotonic() + 2, time.monotonic() + QUIET_SECONDS))
        time.sleep(QUIET_SECONDS)
    load.stop()
    quiet = sorted(took for stretch in stretches for took in load.between(*stretch))
    busy = sorted(took for stretch in snapshots for took in load.between(*stretch))
    ratio = describe("while being snapshot", busy) / describe("without", quiet)
    print(f"  p99 {ratio:.2f} times; to reach: below {TO_REACH}", flush=True)
    return ratio


def main():
    print(f"snapshot of {MEGABYTES} MB under {RATE} puts/s, {ROUNDS} rounds")
    with folder() as path:
        daemon = Daemon(path, "node1").start("--set", "storage.durability=full")
        try:
            fill(daemon)
            ratio = measure(daemon, path / "copy")
        finally:
            daemon.stop()
    if ratio >= TO_REACH:
        raise Failed(f"the p99 of puts rose {ratio:.2f} times")


if __name__ == "__main__":
    main()
