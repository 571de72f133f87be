#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Many keys at once, on daemons as people run them: each answered once, however large, whoever is stopped."""

import contextlib
import os
import signal
import time

from _mesh import Client, check, mesh, run_tests

SMALL = [f"small{i}" for i in range(1000)]
LARGE = [f"large{i}" for i in range(200)]
LARGE_BYTES = 60_000


def write(daemon, values):
    with contextlib.closing(Client(daemon.socket, timeout=60)) as client:
        for begin in range(0, len(values), 50):
            items = [{"key": key, "value": value} for key, value in list(values.items())[begin:begin + 50]]
            result = client.ok("mput", items=items, wait="all", timeout_ms=20000)
            check(result["failed"] == 0, f"{result}")


def read(client, keys, pause=0.0, timeout_ms=20000):
    """The answer of each key, by its place."""
    request = client.send("mget", keys=keys, timeout_ms=timeout_ms)
    time.sleep(pause)
    answers = {}
    while True:
        message = client.receive()
        if message[0] == 1 and message[1] == request:
            check(message[2] is None and message[3]["count"] == len(keys), f"mget ended with {message}")
            return answers
        check(message[:2] == [2, "item"], f"got {message[:2]}")
        check(message[2]["index"] not in answers, "a key was answered twice")
        answers[message[2]["index"]] = message[2]


def is_here(client, key):
    return any(replica["self"] for replica in client.ok("locate", key=key)["replicas"])


def check_values(answers, keys, values):
    check(sorted(answers) == list(range(len(keys))), f"{len(answers)} of {len(keys)} keys were answered")
    for index, key in enumerate(keys):
        answer = answers[index]
        check(answer.get("found") and answer["values"][0]["value"] == values[key], f"{key} is {str(answer)[:200]}")


def large_values_are_read_whole_where_small_ones_were_expected():
    values = {key: b"x" for key in SMALL} | {key: os.urandom(LARGE_BYTES) for key in LARGE}
    with mesh(5) as daemons:
        write(daemons[0], values)
        reader = daemons[4]
        with contextlib.closing(Client(reader.socket, timeout=60)) as client:
            check_values(read(client, SMALL), SMALL, values)
            # Of keys that are not here nobody knows how large they are: ten times what may wait for a client.
            keys = 10 * [key for key in LARGE if not is_here(client, key)][:80]
            check_values(read(client, keys, pause=1.0), keys, values)
            check_values(read(client, SMALL), SMALL, values)


def a_stopped_replica_costs_a_batch_no_key():
    values = {key: b"x" for key in SMALL}
    with mesh(3) as daemons:
        write(daemons[0], values)
        with contextlib.closing(Client(daemons[0].socket, timeout=60)) as client:
            daemons[2].process.send_signal(signal.SIGSTOP)
            try:
                answers = read(client, SMALL, timeout_ms=10000)
            finally:
                daemons[2].process.send_signal(signal.SIGCONT)
            check_values(answers, SMALL, values)


run_tests(
    large_values_are_read_whole_where_small_ones_were_expected,
    a_stopped_replica_costs_a_batch_no_key,
)
