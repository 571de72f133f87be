# SPDX-License-Identifier: MIT
"""Writers with a memory: what each key may hold in the end, by what was acknowledged and what was only tried."""

import random
import threading
import time

import msgpack

from _mesh import Client

# Each write of a key has a number above all before it. A value begins with it and is filled up.
DIGITS = 12


def value_of(number, size):
    return str(number).zfill(DIGITS).encode().ljust(size, b".")


def number_in(value):
    return int(value[:DIGITS])


class Key:
    """The writes of one key by its only writer. 0: nothing was written, or it was deleted."""

    def __init__(self):
        self.tried = []  # (number, holds) of the latest acknowledged write, then of all that were tried after it
        self.is_acknowledged = False

    def begin(self, number, holds):
        self.tried.append((number, holds))

    def acknowledge(self):
        """The last that was tried: of those before it none may be seen any more."""
        self.tried = self.tried[-1:]
        self.is_acknowledged = True

    def complaint(self, seen):
        """What is wrong with reading this number; nothing where it is one of those that may be there."""
        if any(seen == holds for _, holds in self.tried) or (seen == 0 and not self.is_acknowledged):
            return None
        number, holds = self.tried[0]
        if holds == 0 and seen < number:
            return f"deleted by write {number}, and write {seen} is there again"
        return f"write {number} was acknowledged, and {seen or 'nothing'} is there"


class Writer(threading.Thread):
    """Writes to its own keys through one daemon for as long as it is told to, and deletes some of them."""

    def __init__(self, daemon, number, **habits):
        super().__init__()
        self.daemon_process, self.number = daemon, number
        self.key_count = habits.get("keys", 20)
        self.value_bytes = habits.get("value_bytes", 100)
        self.deletes = habits.get("deletes", 0.0)
        self.pause = habits.get("pause", 0.0)
        self.dice = random.Random(number)
        self.keys = {}
        self.count = self.acknowledged = self.failures = 0
        self.is_stopped = False
        self.client = None

    def run(self):
        while not self.is_stopped:
            self.write_one()
            time.sleep(self.pause)
        self.hang_up()

    def write_one(self):
        self.count += 1
        name = f"writer{self.number}-{self.count % self.key_count}"
        holds = 0 if self.dice.random() < self.deletes else self.count
        key = self.keys.setdefault(name, Key())
        key.begin(self.count, holds)
        if self.ask(name, holds):
            key.acknowledge()
            self.acknowledged += 1
        else:
            self.failures += 1

    def ask(self, name, holds):
        """Whether the daemon acknowledged it."""
        try:
            self.client = self.client or Client(self.daemon_process.socket, timeout=8)
            if holds == 0:
                error, _ = self.client.call("del", key=name, timeout_ms=3000)
            else:
                error, _ = self.client.call("put", key=name, value=value_of(holds, self.value_bytes), timeout_ms=3000)
            return error is None
        except (OSError, msgpack.UnpackException):
            self.hang_up()
            time.sleep(0.05)  # the daemon is dead; it is started again by the main thread
            return False

    def hang_up(self):
        if self.client:
            self.client.close()
        self.client = None


def stop(writers):
    for writer in writers:
        writer.is_stopped = True
    for writer in writers:
        writer.join()


def read_numbers(daemon, keys, r):
    """What each of these keys holds, 500 in a request."""
    seen = {}
    client = daemon.client()
    client.socket.settimeout(90)
    for first in range(0, len(keys), 500):
        some = keys[first:first + 500]
        request = client.send("mget", keys=some, r=r, timeout_ms=30000)
        while True:
            message = client.receive()
            if message[0] == 1 and message[1] == request:
                break
            answer = message[2]
            if "error" not in answer:
                seen[some[answer["index"]]] = number_in(answer["values"][0]["value"]) if answer["found"] else 0
    client.close()
    return seen


def complaints(writers, daemon, r=3):
    """What is wrong with what this daemon reads now, of all that was written."""
    wrong = []
    for writer in writers:
        seen = read_numbers(daemon, list(writer.keys), r)
        for name, key in writer.keys.items():
            wrong_here = key.complaint(seen[name]) if name in seen else "cannot be read"
            if wrong_here:
                wrong.append(f"{name}: {wrong_here}")
    return wrong
