#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The quota of a namespace on real daemons."""

from _mesh import check, mesh, run_tests, wait_for

QUOTA = 64 << 10
VALUE = b"x" * 4096


def put(daemon, number, value=VALUE):
    """The error, if any."""
    client = daemon.client()
    try:
        return client.call("put", key=f"small/{number}", value=value, wait="all", timeout_ms=5000)[0]
    finally:
        client.close()


def put_until_refused(daemons):
    for number in range(64):
        error = put(daemons[number % len(daemons)], number)
        if error is not None:
            check(error["code"] == "quota", f"{error}")
            check("namespace small holds about" in error["message"], error["message"])
            return number
    check(False, "nothing was refused")


def held(daemon):
    policy, = daemon.ok("ns_list")["namespaces"]
    return policy["bytes"]


def a_full_namespace_refuses_what_adds_to_it_and_has_room_again_after_deletes():
    with mesh(3) as daemons:
        created = daemons[0].kith("ns", "create", "small", "--quota", "64KiB")
        check(created.returncode == 0, created.stderr)
        for daemon in daemons:
            wait_for(lambda: daemon.ok("ns_list")["namespaces"] and held(daemon) == 0, f"{daemon.name} to count")
        written = put_until_refused(daemons)
        check(QUOTA // 4400 <= written <= QUOTA // 4096, f"{written} values of 4 KiB are in 64 KiB")
        for daemon in daemons:
            check(QUOTA <= held(daemon) < QUOTA + 4400, f"{daemon.name} says {held(daemon)} bytes")
            check(put(daemon, 99)["code"] == "quota", "it is full everywhere")
            check(put(daemon, 0, b"smaller" if daemon is daemons[2] else VALUE) is None, "nothing is added by this")
        shown = daemons[1].kith("ns", "show", "small").stdout
        check("quota     64.0 KiB, about 6" in shown, shown)
        for number in range(1, 5):
            daemons[0].ok("del", key=f"small/{number}", wait="all")
        check(put(daemons[2], 100) is None, "there is room again")
        check(daemons[0].kith("ns", "set", "small", "--quota", "none").returncode == 0, "it is no more")
        for daemon in daemons:
            wait_for(lambda: daemon.ok("ns_list")["namespaces"][0]["quota_bytes"] == 0, f"{daemon.name} to hear of it")
        for number in range(200, 220):
            check(put(daemons[0], number) is None, "nothing is full any more")


run_tests(a_full_namespace_refuses_what_adds_to_it_and_has_room_again_after_deletes)
