# SPDX-License-Identifier: MIT
"""Puts at a fixed pace, for the benches that ask what something else does to them."""

import threading
import time

import msgpack

from _mesh import check  # the bench that imports this one has put tests/mesh on the path

VALUE = b"x" * 1000
KEYS = 5000


class PacedPuts(threading.Thread):
    """Puts that are due at fixed times, each with the time from then to its answer: a stall counts for every put that
    it holds up, not for one."""

    def __init__(self, daemon, rate):
        super().__init__()
        self.client = daemon.client()
        self.client.socket.settimeout(120)
        self.rate = rate
        self.samples = []  # (due, seconds until answered)
        self.due = {}
        self.is_stopped = False

    def run(self):
        receiver = threading.Thread(target=self.receive)
        receiver.start()
        began, number = time.monotonic(), 0
        while not self.is_stopped:
            number += 1
            due = began + number / self.rate
            time.sleep(max(0.0, due - time.monotonic()))
            self.due[number] = due
            self.send(number, "put", {"key": f"load{number % KEYS}", "value": VALUE, "timeout_ms": 60000})
        self.due[number + 1] = 0
        self.send(number + 1, "members", {})
        receiver.join()
        self.client.close()

    def send(self, number, method, params):
        self.client.socket.sendall(msgpack.packb([0, number, method, params]))

    def receive(self):
        while True:
            _, number, error, _ = self.client.receive()
            due = self.due.pop(number)
            if due == 0:
                return
            check(error is None, f"put failed: {error}")
            self.samples.append((due, time.monotonic() - due))

    def stop(self):
        """Ends when all are answered."""
        self.is_stopped = True
        self.join()

    def between(self, start, end):
        return sorted(took for due, took in self.samples if start <= due < end)


def percentile(samples, share):
    return samples[min(len(samples) - 1, int(share * len(samples)))] * 1e3


def describe(name, samples):
    """Prints them, and gives their p99 in milliseconds."""
    check(samples, f"no put was measured {name}")
    p50, p99 = percentile(samples, 0.5), percentile(samples, 0.99)
    print(f"  {name:<22} {len(samples):6} puts   p50 {p50:7.2f} ms   p99 {p99:7.2f} ms   "
          f"max {samples[-1] * 1e3:8.2f} ms", flush=True)
    return p99
