#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""examples/lock.py on real daemons: what the lock protects takes each token from one holder, and tokens only rise.

  tests/mesh/lock_test.py            3 daemons, 6 holders, 10 s, kills and stops
  tests/mesh/lock_test.py SECONDS    5 daemons in network namespaces, 20 holders, with partitions too

Holders are processes that take one lock, each through one daemon, and write to a resource, which is a thread here.
They are killed, and stopped for longer than their lease; daemons are killed, too.
"""

import contextlib
import pathlib
import random
import signal
import socketserver
import subprocess
import sys
import threading
import time

from _history import SEED, Clock, Size, disturb, disturbed_mesh, make_namespace
from _mesh import ROOT, check, folder, run_tests, wait_for

SIZE = Size(sys.argv[1:])
EXAMPLE = ROOT / "examples/lock.py"
HOLDER = ROOT / "tests/mesh/_lock_holder.py"
KEY = "locks/resource"
TTL_S = 2.0


# ---- what the lock protects

class Resource(socketserver.ThreadingUnixStreamServer):
    """Takes lines `write NAME TOKEN`, unless it has seen a greater token, and notes what it took."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, path):
        super().__init__(str(path), Answering)
        self.path, self.lock = path, threading.Lock()
        self.token = 0
        self.taken = []  # (token, name)
        self.fenced = 0
        self.complaints = []
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def answer(self, word, name="", *rest):
        with self.lock:
            if word == "see":
                return str(self.token)
            if word == "complain":
                self.complaints.append(f"{name}: {' '.join(rest)}")
                return "noted"
            return "taken" if self.take(name, int(rest[0])) else "refused"

    def take(self, name, token):
        if token < self.token:
            self.fenced += 1
            return False
        self.token = token
        self.taken.append((token, name))
        return True

    def holder(self):
        """(token, name) of the last that wrote."""
        with self.lock:
            return self.taken[-1] if self.taken else (0, "")


class Answering(socketserver.StreamRequestHandler):
    def handle(self):
        with contextlib.suppress(OSError):  # a holder was killed
            for line in self.rfile:
                self.wfile.write(self.server.answer(*line.decode().split()).encode() + b"\n")


# ---- those who want it

class Holders:
    """As many processes as are wanted; one that dies is followed by another."""

    def __init__(self, daemons, resource, count):
        self.daemons, self.resource = daemons, resource
        self.processes = {}  # by name
        self.started = self.killed = self.stopped = 0
        for _ in range(count):
            self.start()

    def start(self):
        self.started += 1
        name = f"holder{self.started}"
        daemon = self.daemons[self.started % len(self.daemons)]
        self.processes[name] = subprocess.Popen([HOLDER, daemon.socket, self.resource.path, KEY, str(TTL_S), name,
                                                 str(SEED + self.started)])

    def kill(self, name):
        process = self.processes.pop(name)
        check(process.poll() is None, f"{name} ended by itself")
        process.kill()
        process.wait()
        self.killed += 1
        self.start()

    def disturb(self, clock, dice):
        """Mostly whoever has the lock."""
        while not clock.is_over():
            time.sleep(dice.uniform(0.2, 1.5))  # until the next fault
            _, name = self.resource.holder()
            if name not in self.processes or dice.random() < 0.2:
                name = dice.choice(list(self.processes))
            if dice.random() < 0.4:
                self.kill(name)
            else:
                self.stop_for(self.processes[name], dice.uniform(0.5, 2) * TTL_S)

    def stop_for(self, process, seconds):
        self.stopped += 1
        process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)  # it stands still, which is what is tested
        process.send_signal(signal.SIGCONT)

    def end(self):
        for process in self.processes.values():
            process.kill()
            process.wait()


# ---- tests

def disturb_both(holders, daemons, net):
    clock = Clock(SIZE.seconds)
    faults = threading.Thread(target=disturb, args=(daemons, net, clock, random.Random(SEED)))
    faults.start()
    try:
        holders.disturb(clock, random.Random(SEED + 1))
    finally:
        faults.join()


def what_a_dead_holder_held_is_taken_by_another(holders, resource):
    for _ in range(3):
        token, name = wait_for(lambda: resource.holder()[1] in holders.processes and resource.holder(),
                               "somebody to have the lock", 30)
        holders.kill(name)
        wait_for(lambda: resource.holder()[0] > token and resource.holder()[1] != name,
                 f"another one to have the lock of {name}", 30)


def check_taken(taken):
    """Each token is of one holder, and none is taken after a greater one."""
    owners, last = {}, 0
    for token, name in taken:
        check(token >= last, f"{name} wrote with token {token} after one with {last}")
        check(owners.setdefault(token, name) == name, f"{owners[token]} and {name} wrote with token {token}")
        last = token
    return len(owners), len(set(owners.values()))


def what_a_lock_protects_takes_each_token_from_one_holder_and_tokens_rise():
    with disturbed_mesh(SIZE) as (daemons, net), folder() as path, Resource(path / "resource") as resource:
        make_namespace(daemons, "locks", "strong")
        holders = Holders(daemons, resource, SIZE.clients)
        try:
            disturb_both(holders, daemons, net)
            what_a_dead_holder_held_is_taken_by_another(holders, resource)
        finally:
            holders.end()
        resource.shutdown()
        tokens, names = check_taken(resource.taken)
        check(not resource.complaints, f"{len(resource.complaints)} complaints: {resource.complaints[:3]}")
        check(names > 2, f"only {names} holders had the lock")
        print(f"   {SIZE}: the lock was taken {tokens} times by {names} of {holders.started} holders, which wrote "
              f"{len(resource.taken)} times and were refused {resource.fenced} times; {holders.killed} were killed, "
              f"and {holders.stopped} times one was stopped")


def commands_that_hold_one_lock_run_one_after_the_other():
    with disturbed_mesh(Size([])) as (daemons, _), folder() as path:
        make_namespace(daemons, "locks", "strong")
        notes = path / "notes"
        command = f'echo "begin $KITH_LOCK_TOKEN" >> {notes}; sleep 0.1; echo "end $KITH_LOCK_TOKEN" >> {notes}; exit 3'
        running = [subprocess.Popen([EXAMPLE, daemon.socket, "locks/commands", "--", "sh", "-c", command])
                   for daemon in daemons * 2]
        for each in running:
            check(each.wait(timeout=60) == 3, f"a command ended with {each.returncode}")
        words = [line.split() for line in notes.read_text().splitlines()]
        tokens = [int(token) for _, token in words]
        check([word for word, _ in words] == ["begin", "end"] * len(running), f"they ran at once: {words}")
        check(tokens == sorted(tokens) and len(set(tokens)) == len(running), f"the tokens are {tokens}")
        what_cannot_be_had_is_said_in_a_line(daemons[0])
        a_command_whose_lock_is_lost_is_ended(daemons[0], path / "pid")


def what_cannot_be_had_is_said_in_a_line(daemon):
    def refusal(key, *words):
        return subprocess.run([EXAMPLE, daemon.socket, key, *words, "--", "true"], capture_output=True, text=True,
                              timeout=30, check=False)

    daemon.ok("put", key="locks/held", value="x")
    held = refusal("locks/held", "--wait", "0")
    check(held.returncode == 75 and held.stderr.startswith("lock.py: locks/held was not had within 0 s: "), str(held))
    weak = refusal("default/held")
    check(weak.returncode == 1 and weak.stderr.startswith("lock.py: ") and weak.stderr.count("\n") == 1, str(weak))


def a_command_whose_lock_is_lost_is_ended(daemon, note):
    command = f"echo $$ > {note}.new; mv {note}.new {note}; exec sleep 60"
    running = subprocess.Popen([EXAMPLE, daemon.socket, "locks/lost", "--ttl", "1", "--", "sh", "-c", command],
                               stderr=subprocess.PIPE, text=True)
    wait_for(note.exists, "the command to run")
    daemon.kill()
    _, why = running.communicate(timeout=30)
    check(running.returncode == 75 and why.startswith("lock.py: locks/lost was lost"), f"{running.returncode}: {why}")
    check(not pathlib.Path(f"/proc/{note.read_text().strip()}").exists(), "the command goes on")


run_tests(what_a_lock_protects_takes_each_token_from_one_holder_and_tokens_rise,
          commands_that_hold_one_lock_run_one_after_the_other)
