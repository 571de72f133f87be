#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A thousand keys at once beside a thousand single reads, from a mesh of three daemons with N = 3, in the same run;
then once more with one replica stopped (SIGSTOP), which may hold back nothing but what is asked of it, and not for
long.

  tests/bench/batch.py [KEYS] [DAEMONS]

First on loopback, where nothing but work takes time; then between network namespaces where each packet takes 3 ms, as
it does where devices are apart. To reach: 5 times faster than the single reads, and there at most 1.5 times the slowest
single read and the transfer. The transfer is what the same answers take from a process that has them ready, over a
socket of the same kind, to the same client.
"""

import contextlib
import os
import pathlib
import signal
import socket
import statistics
import sys
import time

import msgpack

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "mesh"))
from _delay import delayed_network  # noqa: E402
from _mesh import Client, Skipped, check, mesh, wait_for  # noqa: E402

KEYS = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
DAEMONS = int(sys.argv[2]) if len(sys.argv) > 2 else 3
ROUNDS = 7
VALUE_BYTES = 100
DELAY = 0.003
FASTER_TO_REACH = 5.0
OF_SLOWEST_TO_REACH = 1.5


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
    """Seconds until each message was there, and the messages."""
    began = time.perf_counter()
    wanted = client.send("mget", keys=names(), timeout_ms=10000)
    arrived, messages = [], []
    while True:
        message = client.receive()
        arrived.append(time.perf_counter() - began)
        messages.append(message)
        if message[0] == 1 and message[1] == wanted:
            check(message[2] is None, f"mget failed: {message[2]}")
            return arrived, messages


def serve(path, messages):
    """Answers each thing it is asked with all of these; in a process of its own. Returns its pid."""
    ready = b"".join(msgpack.packb(message) for message in messages)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    pid = os.fork()
    if pid == 0:
        try:
            connection, _ = listener.accept()
            unpacker = msgpack.Unpacker(raw=False)
            while data := connection.recv(65536):
                unpacker.feed(data)
                for _ in unpacker:
                    connection.sendall(ready)
        finally:
            os._exit(0)
    listener.close()
    return pid


def transfers(path, messages):
    """Seconds each of some took."""
    pid = serve(path, messages)
    took = []
    try:
        with contextlib.closing(Client(path)) as client:
            for _ in range(ROUNDS):
                began = time.perf_counter()
                client.send("mget", keys=names(), timeout_ms=10000)
                for _ in messages:
                    client.receive()
                took.append(time.perf_counter() - began)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        path.unlink()
    return took


def missing_in(messages):
    return KEYS - sum(message[0] == 2 and message[2].get("found", False) for message in messages)


def measure(daemons, client, place):
    rounds = []
    first, _ = read_at_once(client)
    for _ in range(ROUNDS):
        singles = single_reads(client)
        arrived, messages = read_at_once(client)
        check(missing_in(messages) == 0, f"{missing_in(messages)} keys are missing")
        rounds.append((arrived[-1], sum(singles), max(singles), statistics.median(singles)))
    transfer = statistics.median(transfers(daemons[0].home / "echo.sock", messages))
    at_once, one_by_one, slowest, usual = (statistics.median(column) for column in zip(*rounds))
    faster = statistics.median(singles / took for took, singles, _, _ in rounds)
    of_slowest = statistics.median(took / (worst + transfer) for took, _, worst, _ in rounds)
    print(f"{place}, {len(daemons)} daemons, medians of {ROUNDS} rounds:\n"
          f"  mget of {KEYS} keys {at_once * 1e3:.1f} ms (the first {first[-1] * 1e3:.1f} ms); {KEYS} gets "
          f"{one_by_one * 1e3:.1f} ms, the slowest {slowest * 1e3:.2f} ms, the median {usual * 1e3:.2f} ms; "
          f"transfer {transfer * 1e3:.1f} ms\n"
          f"  {faster:.1f} times faster (to reach: {FASTER_TO_REACH}); {of_slowest:.2f} times the slowest get and the "
          f"transfer (to reach, where devices are apart: {OF_SLOWEST_TO_REACH})", flush=True)


def measure_without_one(daemons, client):
    daemons[-1].process.send_signal(signal.SIGSTOP)
    try:
        arrived, messages = read_at_once(client)
    finally:
        daemons[-1].process.send_signal(signal.SIGCONT)
    at = {share: arrived[min(KEYS, int(KEYS * share / 100))] * 1e3 for share in (50, 90, 99)}
    print(f"  one replica stopped: {missing_in(messages)} missing; half within {at[50]:.1f} ms, 90 % within "
          f"{at[90]:.1f} ms, 99 % within {at[99]:.1f} ms, all within {arrived[-1] * 1e3:.1f} ms", flush=True)


def bench(place, prepare=lambda daemon, number: None):
    with mesh(DAEMONS, prepare=prepare) as daemons:
        client = daemons[0].client()
        items = [{"key": name, "value": os.urandom(VALUE_BYTES)} for name in names()]
        client.ok("mput", items=items, wait="all", timeout_ms=20000)
        for daemon in daemons:  # who has just joined is asked, and not yet believed
            with contextlib.closing(Client(daemon.socket, timeout=90)) as waiting:
                waiting.ok("repair", now=True, wait_ms=60000)
        wait_for(lambda: asks_only_r(client), "reads to ask no more than R replicas", 120)
        measure(daemons, client, place)
        measure_without_one(daemons, client)
        client.close()


def main():
    bench("on loopback")
    try:
        with delayed_network(DAEMONS, DELAY) as network:
            bench(f"{DELAY * 1e3:.0f} ms apart", network.place)
    except Skipped as reason:
        print(f"apart: skipped, {reason}")


main()
