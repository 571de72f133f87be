#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A process that takes a lock again and again, as somebody does who copied examples/lock.py, and writes with its token
to what the lock protects (lock_test.py), until it is killed.

  tests/mesh/_lock_holder.py KITH_SOCKET RESOURCE_SOCKET KEY TTL_S NAME SEED
"""

import pathlib
import random
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent / "examples"))
from lock import Lock  # noqa: E402 -- found there only now


class Holder:
    def __init__(self, lock, resource, name, dice):
        self.lock, self.name, self.dice = lock, name, dice
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(resource)
        self.resource = connection.makefile("rw")

    def ask(self, *words):
        self.resource.write(" ".join(map(str, words)) + "\n")
        self.resource.flush()
        return self.resource.readline().strip()

    def run(self):
        while True:
            seen = int(self.ask("see"))
            if self.lock.take():
                if self.lock.token <= seen:
                    self.ask("complain", self.name, f"took token {self.lock.token}, {seen} was there before")
                self.use()
            time.sleep(self.dice.uniform(0.02, 0.3))  # until it wants the lock again

    def use(self):
        """Some forget to give it back, and some do not look how much of their lease is left."""
        is_careless = self.dice.random() < 0.2
        for turn in range(1, self.dice.randrange(3, 15)):
            if self.lock.left() == 0 and not is_careless:
                return
            time.sleep(self.dice.uniform(0.01, 0.1))  # its work, in the midst of which it may be stopped
            if not self.write():
                return
            if turn % 5 == 0:
                self.lock.renew()
        if self.dice.random() < 0.9:
            self.lock.release()

    def write(self):
        left_before = self.lock.left()
        is_taken = self.ask("write", self.name, self.lock.token) == "taken"
        if not is_taken and left_before > 0 and self.lock.left() > 0:
            self.ask("complain", self.name, f"was refused with token {self.lock.token}, and its lease lasts")
        return is_taken


kith_socket, resource_socket, key, ttl_s, name, seed = sys.argv[1:]
Holder(Lock(kith_socket, key, float(ttl_s)), resource_socket, name, random.Random(int(seed))).run()
