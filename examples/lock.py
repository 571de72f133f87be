#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A lock with a lease and a fencing token, on a strong namespace of kith. It needs msgpack (python3-msgpack) alone, and
speaks to the daemon of its own device.

  kith ns create locks --conflict strong      once, before anybody uses it
  lock.py SOCKET KEY [--ttl SECONDS] [--wait SECONDS] -- COMMAND...

Takes the lock KEY (as locks/backup), runs COMMAND with the token in KITH_LOCK_TOKEN, and gives the lock back. Meanwhile
it renews the lease; where that cannot be done in time it ends COMMAND. Exits as COMMAND does, with 75 where the lock
was not had in time or was lost, and with 1 where it cannot be had at all.

A lease alone is not enough. A holder whose process was stopped, or whose device slept, finds out too late that another
one has the lock. So hand the token to what the lock protects, with each write, and have that refuse every token that is
smaller than the greatest it has seen. Tokens rise from one holder to the next.
"""

import argparse
import os
import random
import signal
import socket
import subprocess
import sys
import time
import uuid

import msgpack

LOST = 75          # EX_TEMPFAIL: try again later
FOR_NOW = ("conflict", "unavailable", "timeout", "indeterminate")  # may be otherwise when it is asked again
CLOCKS_APART = 10  # this part of the lease is not used: it ends by the clock of whichever device looks


class Refused(Exception):
    """What asking again does not help against."""


def now():
    """Seconds, also of those in which the device slept."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Kith:
    """One request after the other to the local daemon (docs/socket.md). A connection that ends is made anew."""

    def __init__(self, path, timeout=5):
        self.path, self.timeout = path, timeout
        self.connection, self.answers, self.last_id = None, None, 0

    def connect(self):
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.settimeout(self.timeout)
        self.connection.connect(self.path)
        self.answers = msgpack.Unpacker(raw=False)

    def ask(self, method, **params):
        """(error, result), one of them None. Without an answer the error is `indeterminate`."""
        try:
            if self.connection is None:
                self.connect()
            self.last_id += 1
            self.connection.sendall(msgpack.packb([0, self.last_id, method, params]))
            error, result = self.answer()
        except OSError as failure:
            self.hang_up()
            error, result = {"code": "indeterminate", "message": f"{self.path}: {failure}"}, None
        if error and error["code"] not in FOR_NOW:
            raise Refused(error["message"])
        return error, result

    def answer(self):
        while True:
            for kind, request, error, result in self.answers:
                if kind == 1 and request == self.last_id:
                    return error, result
            data = self.connection.recv(65536)
            if not data:
                raise ConnectionError("the daemon hung up")
            self.answers.feed(data)

    def hang_up(self):
        if self.connection:
            self.connection.close()
        self.connection = None


class Lock:
    """take(), then renew() well before left() is 0, then release(). `token` goes along with each write."""

    def __init__(self, path, key, ttl_s=10.0):
        self.kith, self.key, self.ttl_s = Kith(path), key, ttl_s
        self.token, self.version, self.ends = None, None, 0.0
        self.is_in_doubt = False  # whether the last renewal was made
        self.why_not = ""         # the last that failed, for people
        self.value = b""

    def take(self):
        """Whether the lock is ours now. A try whose outcome is unknown is none: if it was made, it ends by itself."""
        self.value = uuid.uuid4().bytes  # tells this try from all others
        began = now()
        error, receipt = self.put(if_absent=True)
        if error is not None:
            self.why_not = error["message"]
            return False
        self.token = receipt["revision"]
        self.hold(receipt, began)
        return True

    def left(self):
        """Seconds for which the lock is surely ours, by this device's clock."""
        return max(0.0, self.ends - now())

    def renew(self):
        """Whether the lease begins anew. The token stays what it is."""
        if self.is_in_doubt and not self.find_version():
            return False
        began = now()
        error, receipt = self.put(if_version=self.version)
        if error is None:
            self.hold(receipt, began)
        elif error["code"] == "conflict":
            self.ends = 0.0  # it was too late
        else:
            self.is_in_doubt = True
        return error is None

    def release(self):
        """What cannot be given back ends by itself."""
        self.ends = 0.0
        if self.is_in_doubt:
            self.find_version()
        if self.version is not None:
            self.kith.ask("del", key=self.key, if_version=self.version)
        self.version = None

    def put(self, **condition):
        return self.kith.ask("put", key=self.key, value=self.value, ttl_ms=int(self.ttl_s * 1000), **condition)

    def hold(self, receipt, began):
        self.version, self.is_in_doubt = receipt["version"], False
        self.ends = began + self.ttl_s * (1 - 1 / CLOCKS_APART)

    def find_version(self):
        """Of what stands there, where that is ours."""
        error, answer = self.kith.ask("get", key=self.key)
        if error is not None:
            return False
        if not answer["found"] or answer["values"][0]["value"] != self.value:
            self.ends, self.version = 0.0, None
            return False
        self.version, self.is_in_doubt = answer["version"], False
        return True


def take_in_time(lock, wait_s):
    end = now() + wait_s
    while not lock.take():
        if now() > end:
            return False
        time.sleep(random.uniform(0.1, 0.5))  # not all at once
    return True


def run_while_held(lock, command):
    process = subprocess.Popen(command, env={**os.environ, "KITH_LOCK_TOKEN": str(lock.token)})
    try:
        while lock.left() > 0:
            try:
                return process.wait(timeout=min(lock.left(), lock.ttl_s / 3))
            except subprocess.TimeoutExpired:
                lock.renew()
        print(f"lock.py: {lock.key} was lost: it could not be renewed in time", file=sys.stderr)
        return LOST
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def main():
    parser = argparse.ArgumentParser(description="Runs a command while it holds a lock.")
    parser.add_argument("socket", help="of the local daemon, as `kith.sock` in its folder")
    parser.add_argument("key", help="in a strong namespace, as locks/backup")
    parser.add_argument("--ttl", type=float, default=10, help="seconds until others may have it where this device dies")
    parser.add_argument("--wait", type=float, default=60, help="seconds to try for")
    parser.add_argument("command", nargs="+")
    words = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the lock is given back
    lock = Lock(words.socket, words.key, words.ttl)
    try:
        if take_in_time(lock, words.wait):
            return run_while_held(lock, words.command)
        print(f"lock.py: {words.key} was not had within {words.wait:g} s: {lock.why_not}", file=sys.stderr)
        return LOST
    except Refused as why:
        print(f"lock.py: {why}", file=sys.stderr)
        return 1
    finally:
        lock.release()


if __name__ == "__main__":
    sys.exit(main())
