#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Watches on real daemons: each watcher ends on the latest version of every key, in order, without duplicates.

  tests/mesh/watch_test.py [WATCHERS CHANGES]

While one client writes, watchers reconnect, a daemon that has watchers is killed, and so is one that has replicas only.
A watcher that lost its daemon goes on at the next one with the versions that it saw last.
"""

import contextlib
import json
import random
import sys
import threading
import time

from _mesh import Client, check, mesh, run_tests, wait_for

WATCHERS = int(sys.argv[1]) if len(sys.argv) > 2 else 10
CHANGES = int(sys.argv[2]) if len(sys.argv) > 2 else 150
DAEMONS = 5
KEYS = 20
PREFIX = "watched/"


class Watcher(threading.Thread):
    """Keeps what it is told: the numbers of each key in their order, and when they came."""

    def __init__(self, daemons, number):
        super().__init__(daemon=True)
        self.daemons, self.at = daemons, number % len(daemons)
        self.versions, self.numbers, self.came = {}, {}, {}
        self.resumed = 0
        self.is_over = self.wants_reconnect = False
        self.faults = []

    def run(self):
        while not self.is_over:
            try:
                with contextlib.closing(Client(self.daemons[self.at].socket, timeout=1)) as client:
                    self.listen(client)
            except OSError:
                self.at = (self.at + 1) % len(self.daemons)
                time.sleep(0.05)  # before another daemon is tried
            self.resumed += 0 if self.is_over else 1

    def listen(self, client):
        seen = [[key, version] for key, version in self.versions.items()]
        client.send("watch", prefix=PREFIX, seen=seen)
        while not self.is_over and not self.wants_reconnect:
            try:
                message = client.receive()
            except TimeoutError:
                continue
            if message[0] == 2 and message[1] == "change":
                self.note(message[2])
            elif message[0] == 1:
                self.faults.append(f"the watch ended: {message[2]}")
                return
        self.wants_reconnect = False

    def note(self, change):
        if change["change"] == "current":
            return
        key = change["key"]
        if change["change"] == "absent":
            self.versions.pop(key, None)
            self.numbers.setdefault(key, []).append(None)
            return
        self.versions[key] = change["version"]
        number = int(change["values"][0]["value"])
        before = [n for n in self.numbers.get(key, []) if n is not None]
        if before and number <= before[-1]:
            self.faults.append(f"{key} was {before[-1]} and then {number}")
        self.numbers.setdefault(key, []).append(number)
        self.came[(key, number)] = time.monotonic()

    def last(self, key):
        return self.numbers.get(key, [None])[-1]


def write_all(daemon, dice, written, on_change):
    """Numbers that rise, each key's own; those that were not acknowledged may be there or not."""
    took = []
    with contextlib.closing(daemon.client()) as client:
        for i in range(CHANGES):
            key = f"{PREFIX}{dice.randrange(KEYS)}"
            number = i + 1
            began = time.monotonic()
            error, _ = client.call("put", key=key, value=str(number).encode())
            took.append(time.monotonic() - began)
            if error is None:
                written[(key, number)] = time.monotonic()
            on_change(i)
            time.sleep(0.005)  # so that not all is written before the first fault
    return took


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] * 1000 if values else float("nan")


def every_watcher_ends_on_the_latest_version_in_order_and_without_duplicates():
    dice = random.Random(20261130)
    with mesh(DAEMONS) as daemons:
        watchers = [Watcher(daemons[:3], number) for number in range(WATCHERS)]
        for watcher in watchers:
            watcher.start()
        wait_for(lambda: sum(daemon.ok("status")["watches"]["open"] for daemon in daemons) == WATCHERS,
                 "all watches to be open")
        written = {}

        def on_change(i):
            if i == CHANGES // 5:
                for watcher in watchers[::3]:
                    watcher.wants_reconnect = True
            if i == 2 * CHANGES // 5:
                daemons[1].kill()  # has watchers
            if i == 3 * CHANGES // 5:
                daemons[4].kill()  # has replicas
                daemons[1].start()
            if i == 4 * CHANGES // 5:
                daemons[4].start()

        took = write_all(daemons[0], dice, written, on_change)
        keys = sorted({key for key, _ in written})

        def latest(key):
            answer = daemons[0].ok("get", key=key, r=3, timeout_ms=10000)
            return int(answer["values"][0]["value"])

        for key in keys:
            expected = latest(key)
            check(expected >= max(number for each, number in written if each == key), f"{key} lost a write")
            for number, watcher in enumerate(watchers):
                wait_for(lambda: watcher.last(key) == expected,
                         f"watcher {number} to be told {expected} of {key}, not {watcher.numbers.get(key)}", 30)
        for watcher in watchers:
            watcher.is_over = True
        for watcher in watchers:
            watcher.join()
        faults = [fault for watcher in watchers for fault in watcher.faults]
        check(not faults, f"{len(faults)} faults, as {faults[:3]}")
        lags = [came - written[which] for watcher in watchers
                for which, came in watcher.came.items() if which in written]
        print(f"   {WATCHERS} watchers, {CHANGES} changes of {KEYS} keys, {len(lags)} told, "
              f"{sum(watcher.resumed for watcher in watchers)} times resumed; told p50 {percentile(lags, 0.5):.1f} ms, "
              f"p99 {percentile(lags, 0.99):.1f} ms after the receipt; a put p50 {percentile(took, 0.5):.1f} ms, "
              f"p99 {percentile(took, 0.99):.1f} ms")


def what_expires_or_is_deleted_is_told_as_absent():
    with mesh(2) as daemons, contextlib.closing(daemons[1].client()) as client:
        daemons[0].ok("put", key="services/printer", value=b"here", ttl_ms=1500)
        daemons[0].ok("put", key="services/scanner", value=b"here")
        watch = client.send("watch", prefix="services/")
        changes = []

        def hear_until(what, count):
            while [(c["change"], c.get("key")) for c in changes].count(what) < count:
                message = client.receive()
                check(message[0] == 2 and message[1] == "change", f"got {message}")
                changes.append(message[2])

        hear_until(("current", None), 1)
        check({c.get("key") for c in changes} == {"services/printer", "services/scanner", None}, f"told {changes}")
        hear_until(("absent", "services/printer"), 1)
        daemons[0].ok("del", key="services/scanner")
        hear_until(("absent", "services/scanner"), 1)
        check(len(changes) == 5, f"told {[(c['change'], c.get('key')) for c in changes]}")
        client.send("unwatch", request=watch)
        ended, done = client.receive(), client.receive()
        check(ended[:3] == [1, watch, None] and ended[3] == {"changes": 4}, f"ended with {ended}")
        check(done[2] is None, f"unwatch failed: {done}")


def a_strong_key_is_watched_like_any_other():
    with mesh(3) as daemons, contextlib.closing(daemons[2].client()) as client:
        daemons[0].ok("ns_set", namespace="locks", create=True, conflict="strong")
        for daemon in daemons:
            wait_for(lambda: daemon.ok("ns_list")["namespaces"], f"{daemon.name} to know the namespace")
        client.send("watch", key="locks/door")
        check(client.receive()[2]["change"] == "current", "nothing was there")
        for number in range(5):
            daemons[number % 3].ok("put", key="locks/door", value=str(number).encode(), timeout_ms=10000)
        revisions = []
        while not revisions or revisions[-1] < 5:
            change = client.receive()[2]
            revisions.append(change["revision"])
        check(revisions == sorted(set(revisions)), f"revisions {revisions}")


def a_command_goes_on_where_its_state_file_ends():
    with mesh(2) as daemons:
        state = daemons[0].home / "seen"

        def watch(daemon, *words):
            done = daemon.kith("watch", "settings/", "--json", "--state", state, *words)
            return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]

        for number in range(3):
            daemons[0].ok("put", key=f"settings/{number}", value=b"a")
        code, lines = watch(daemons[0], "--count", "3")
        check(code == 0 and {line["key"] for line in lines if "key" in line} == {f"settings/{n}" for n in range(3)},
              f"{code} {lines}")
        daemons[1].ok("put", key="settings/1", value=b"b", wait="all")
        daemons[1].ok("del", key="settings/2", wait="all")
        code, lines = watch(daemons[1], "--count", "2", "--wait", "10s")
        told = {(line["change"], line["key"]) for line in lines if "key" in line}
        check(code == 0 and told == {("value", "settings/1"), ("absent", "settings/2")}, f"{code} {lines}")
        code, lines = watch(daemons[0], "--count", "1", "--wait", "1s")
        check(code == 1 and [line["change"] for line in lines] == ["current"], f"{code} {lines}")
        state.write_text("no state\n\n")
        refused = daemons[0].kith("watch", "settings/", "--state", state)
        check(refused.returncode == 2 and "is no file of" in refused.stderr, refused.stderr)


def a_reader_that_does_not_read_is_told_the_latest_in_the_end():
    """It is sent what fits and no more, and the daemon serves others meanwhile."""
    with mesh(1) as daemons, contextlib.closing(daemons[0].client()) as slow:
        slow.send("watch", prefix="big/")
        with contextlib.closing(daemons[0].client()) as writer:
            for number in range(400):
                writer.ok("put", key=f"big/{number % 10}", value=(b"%05d" % number) + bytes(60000))
        last = {}
        while len(last) < 10 or any(number < 390 for number in last.values()):
            message = slow.receive()
            if message[2]["change"] == "value":
                last[message[2]["key"]] = int(message[2]["values"][0]["value"][:5])
        check(sorted(last.values()) == list(range(390, 400)), f"told {last}")


run_tests(every_watcher_ends_on_the_latest_version_in_order_and_without_duplicates,
          what_expires_or_is_deleted_is_told_as_absent,
          a_strong_key_is_watched_like_any_other,
          a_command_goes_on_where_its_state_file_ends,
          a_reader_that_does_not_read_is_told_the_latest_in_the_end)
