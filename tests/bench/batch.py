#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A thousand keys at once beside a thousand single reads, from a mesh of four daemons with N = 3, in the same run; then
once more with one replica stopped (SIGSTOP), which may hold back nothing but its own keys, and not for long.

  tests/bench/batch.py [KEYS]
"""

import contextlib
import os
import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "mesh"))
from _mesh import Client, check, mesh, wait_for  # noqa: E402

KEYS = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
ROUNDS = 5
VALUE_BYTES = 100
FASTER_TO_REACH = 5.0


def names():
    return [f"key{i}" for i in range(KEYS)]


def asks_only_r(client):
    """While members come and go a read asks all N, and whoever has just joined is not believed yet."""
    answers = [client.ok("get", key=name) for name in names()[:20]]
    return all(answer["replies"] == answer["wanted"] and not answer["degraded"] for answer in answers)


def single_reads(client):
    """Seconds each took."""
    took = []
    for name in names():
        began = time.perf_counter()
        check(client.ok("get", key=name)["found"], f"{name} is not there")
        took.append(time.perf_counter() - began)
    return took


def read_at_once(client):
    """Seconds until each key was there, and how many were not found."""
    began = time.perf_counter()
    wanted = client.send("mget", keys=names(), timeout_ms=10000)
    arrived, missing = [], 0
    while True:
        message = client.receive()
        if message[0] == 2:
            arrived.append(time.perf_counter() - began)
            missing += not message[2].get("found", False)
        elif message[1] == wanted:
            check(message[2] is None, f"mget failed: {message[2]}")
            return sorted(arrived), missing


def main():
    with mesh(4) as daemons:
        client = daemons[0].client()
        items = [{"key": name, "value": os.urandom(VALUE_BYTES)} for name in names()]
        client.ok("mput", items=items, wait="all", timeout_ms=20000)
        for daemon in daemons:  # who has just joined is asked, and not yet believed
            with contextlib.closing(Client(daemon.socket, timeout=90)) as waiting:
                waiting.ok("repair", now=True, wait_ms=60000)
        wait_for(lambda: asks_only_r(client), "reads to ask no more than R replicas", 120)
        ratios = []
        for _ in range(ROUNDS):
            singles = single_reads(client)
            arrived, missing = read_at_once(client)
            check(missing == 0, f"{missing} keys are missing")
            ratios.append((sum(singles) / arrived[-1], arrived[-1] / max(singles), sum(singles), arrived[-1]))
        ratios.sort()
        faster, of_slowest, singles_s, mget_s = ratios[len(ratios) // 2]
        print(f"mget of {KEYS} keys: {mget_s * 1e3:.1f} ms; {KEYS} gets: {singles_s * 1e3:.1f} ms: {faster:.1f} times "
              f"faster (to reach: {FASTER_TO_REACH}); {of_slowest:.1f} times the slowest single get")
        daemons[1].process.send_signal(signal.SIGSTOP)
        try:
            arrived, missing = read_at_once(client)
        finally:
            daemons[1].process.send_signal(signal.SIGCONT)
        at = {share: arrived[min(len(arrived) - 1, int(len(arrived) * share / 100))] * 1e3 for share in (50, 90, 99)}
        print(f"one replica stopped: {len(arrived)} keys, {missing} missing; half within {at[50]:.1f} ms, "
              f"90 % within {at[90]:.1f} ms, 99 % within {at[99]:.1f} ms, all within {arrived[-1] * 1e3:.1f} ms")
        client.close()


main()
