# SPDX-License-Identifier: MIT
"""Real daemons for the mesh tests: started in a temporary folder on loopback, ended by pid.

A test is a function whose name is a true sentence; run_tests() prints `ok NAME` or `not ok NAME` for each.
Nothing sleeps to wait for a state: wait_for() polls with a deadline.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

import msgpack

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
KITHD = pathlib.Path(os.environ.get("KITHD", ROOT / "build/kithd"))
KITH = pathlib.Path(os.environ.get("KITH", ROOT / "build/kith"))
SANITIZER_REPORT = re.compile(r"(Address|Leak|Thread|UndefinedBehavior)Sanitizer|: runtime error: ")


class Failed(Exception):
    pass


class Skipped(Exception):
    """What this machine does not permit; counted, never passed over silently."""


def check(condition, what):
    if not condition:
        raise Failed(what)


def wait_for(condition, what, seconds=20):
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise Failed(f"waited {seconds} s for {what}")
        time.sleep(0.02)


class Client:
    """MessagePack-RPC with nothing but msgpack (docs/socket.md)."""

    def __init__(self, path, timeout=15):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))
        self.unpacker = msgpack.Unpacker(raw=False, strict_map_key=False, max_buffer_size=64 << 20)
        self.last_id = 0

    def send(self, method, **params):
        self.last_id += 1
        self.socket.sendall(msgpack.packb([0, self.last_id, method, params]))
        return self.last_id

    def receive(self):
        while True:
            for message in self.unpacker:
                return message
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("the daemon hung up")
            self.unpacker.feed(data)

    def call(self, method, **params):
        """(error, result) of one request."""
        wanted = self.send(method, **params)
        while True:
            message = self.receive()
            if message[0] == 1 and message[1] == wanted:
                return message[2], message[3]

    def ok(self, method, **params):
        error, result = self.call(method, **params)
        check(error is None, f"{method} failed: {error}")
        return result

    def close(self):
        self.socket.close()


class Daemon:
    def __init__(self, folder, name):
        self.home = folder / name
        self.home.mkdir()
        self.name = name
        self.log = folder / f"{name}.log"
        self.process = None
        self.command = [KITHD]
        self.listen = "127.0.0.1:0"
        self.discovery = ["--no-discovery"]

    @property
    def socket(self):
        return self.home / "kith.sock"

    def spawn(self, *words):
        log = open(self.log, "ab")
        self.process = subprocess.Popen(
            [*self.command, "--home", self.home, "--listen", self.listen, *self.discovery,
             "--set", f"node.name={self.name}", *words],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self.process

    def start(self, *words):
        self.spawn(*words)
        wait_for(lambda: self.answers(), f"{self.name} to answer: {self.log_text()[-500:]}")
        return self

    def answers(self):
        check(self.process.poll() is None,
              f"{self.name} ended with {self.process.returncode}: {self.log_text()[-800:]}")
        try:
            with contextlib.closing(Client(self.socket)) as client:
                client.ok("status")
            return True
        except OSError:
            return False

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """Ends the daemon. A crash or a sanitizer's report that came before must not go unseen."""
        if self.process is None:
            return
        ended_before = self.process.poll() is not None
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failed(f"{self.name} did not stop within 10 s of SIGTERM")
        code = self.process.returncode
        ended_well = code in (0, -signal.SIGKILL) or (ended_before and code > 0)
        check(ended_well and not SANITIZER_REPORT.search(self.log_text()),
              f"{self.name} ended with {code}: {self.log_text()[-4000:]}")

    def client(self):
        return Client(self.socket)

    def ok(self, method, **params):
        with contextlib.closing(self.client()) as client:
            return client.ok(method, **params)

    def kith(self, *words, **options):
        options.setdefault("input", "")
        options = {"capture_output": True, "text": True, "timeout": 60, **options}
        return subprocess.run([KITH, "--home", self.home, *words], **options)

    def alive(self):
        return self.ok("status")["members"]["alive"]


@contextlib.contextmanager
def folder():
    path = pathlib.Path(tempfile.mkdtemp(prefix="kith-test-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def mesh(count, *words, prepare=lambda daemon, number: None):
    """`count` daemons, joined; all are stopped at the end, and must end well. prepare() sees each before its start."""
    daemons = []
    ended_badly = []
    with folder() as path:
        try:
            for number in range(1, count + 1):
                daemon = Daemon(path, f"node{number}")
                prepare(daemon, number)
                daemons.append(daemon.start(*words))
            invite = daemons[0].ok("invite")["invite"]
            for daemon in daemons[1:]:
                daemon.ok("join", invite=invite)
            for daemon in daemons:
                wait_for(lambda: daemon.alive() == count, f"{daemon.name} to know {count} members")
            yield daemons
        finally:
            for daemon in daemons:
                try:
                    daemon.stop()
                except Failed as failure:
                    ended_badly.append(failure)
        if ended_badly:
            raise ended_badly[0]


def run_tests(*tests):
    failed = 0
    for test in tests:
        name = test.__name__.replace("_", " ")
        try:
            test()
            print(f"ok {name}", flush=True)
        except Skipped as reason:
            print(f"skip {name}: {reason}", flush=True)
        except Exception as error:  # a test that raises has failed, whatever it raised
            failed += 1
            traceback.print_exc()
            print(f"not ok {name}: {error}", flush=True)
    sys.exit(1 if failed else 0)
