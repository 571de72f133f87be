#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Devices that leave a mesh for good, under load and across a kill -9; every value stays, and none is left behind."""

import contextlib
import json

from _mesh import check, mesh, run_tests, wait_for

KEYS = 600


def put_all(daemon, prefix):
    with contextlib.closing(daemon.client()) as client:
        items = [{"key": f"{prefix}{i}", "value": f"value {i}".encode()} for i in range(KEYS)]
        request = client.send("mput", items=items, wait="quorum", timeout_ms=10000)
        while True:
            message = client.receive()
            if message[0] == 1 and message[1] == request:
                check(message[3]["failed"] == 0, f"mput: {message[3]}")
                return


def missing(daemon, prefix):
    with contextlib.closing(daemon.client()) as client:
        return [i for i in range(KEYS) if not client.ok("get", key=f"{prefix}{i}", r=2, timeout_ms=5000)["found"]]


def ended(daemon):
    daemon.process.wait(timeout=20)
    check(daemon.process.returncode == 0, f"{daemon.name} ended with {daemon.process.returncode}")


def a_device_leaves_under_load_and_across_a_kill_and_no_value_is_lost():
    with mesh(5) as daemons:
        leaver, others = daemons[4], daemons[:4]
        leaver.listen = f"127.0.0.1:{leaver.ok('status')['port']}"
        put_all(daemons[0], "before")
        check(leaver.ok("leave")["stage"] == "leaving", "leave answers at once")
        leaver.kill()
        put_all(daemons[1], "away")
        leaver.start()
        check(leaver.ok("status")["leaving"], "a daemon that was killed goes on leaving")
        put_all(daemons[2], "meanwhile")
        done = leaver.kith("--json", "leave", "--wait", "90s", timeout=120)
        check(done.returncode == 0, f"leave: {done.returncode} {done.stdout} {done.stderr}")
        check(json.loads(done.stdout)["stage"] == "left", done.stdout)
        ended(leaver)
        for daemon in others:
            wait_for(lambda: daemon.ok("status")["members"] == {"alive": 4, "suspect": 0, "dead": 0},
                     f"{daemon.name} to know that it has left")
        for prefix in ("before", "away", "meanwhile"):
            lost = missing(others[0], prefix)
            check(not lost, f"{len(lost)} of {prefix} are lost: {lost[:5]}")
        again = leaver.spawn()
        check(again.wait(timeout=10) == 78, "a home that has left does not open")
        check("has left its mesh" in leaver.log_text(), leaver.log_text()[-300:])
        leaver.process = None


def a_device_that_takes_it_back_stays_and_is_whole_again():
    with mesh(4) as daemons:
        put_all(daemons[0], "k")
        leaver = daemons[3]
        check(leaver.ok("leave")["stage"] == "leaving", "it leaves")
        check(leaver.kith("leave", "--wait", "1s").returncode == 4, "a second is too short")
        check(leaver.kith("leave", "--cancel").returncode == 0, "it stays")
        check(leaver.kith("repair", "--now", "--wait", "60s", timeout=90).returncode == 0, "all become equal")
        status = leaver.ok("status")
        check(status["leaving"] is False and status["partitions"]["held"] > 0, f"{status}")
        check(status["partitions"]["whole"] == status["partitions"]["held"], f"{status['partitions']}")
        check(not missing(leaver, "k"), "every value is there")


def a_device_that_is_alone_is_told_why_it_cannot_leave():
    with mesh(1) as (daemon,):
        done = daemon.kith("leave")
        check(done.returncode == 6 and "take over" in done.stderr, f"{done.returncode} {done.stderr}")
        check(daemon.ok("status")["leaving"] is False, "it is no less a member")


run_tests(
    a_device_leaves_under_load_and_across_a_kill_and_no_value_is_lost,
    a_device_that_takes_it_back_stays_and_is_whole_again,
    a_device_that_is_alone_is_told_why_it_cannot_leave,
)
