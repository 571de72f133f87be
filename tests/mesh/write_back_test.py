#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Writes that real daemons confirm from memory."""

from _mesh import check, mesh, run_tests, wait_for

WRITES = 200


def what_was_confirmed_from_memory_is_there_after_one_replica_was_killed():
    with mesh(3) as daemons:
        created = daemons[0].kith("ns", "create", "sensors", "--durability", "write-back")
        check(created.returncode == 0, created.stderr)
        for daemon in daemons:
            wait_for(lambda: daemon.ok("ns_list")["namespaces"], f"{daemon.name} to hear of it")
        for number in range(WRITES):
            receipt = daemons[0].ok("put", key=f"sensors/{number}", value=b"21.5", timeout_ms=10000)
            check(receipt["durable"] and receipt["copies"] == 3, f"{receipt}")
            check(receipt["in_memory"] == 2, f"{receipt}")
        daemons[1].kill()
        daemons[1].start()
        for number in range(WRITES):
            answer = daemons[1].ok("get", key=f"sensors/{number}", r=3, timeout_ms=10000)
            check(answer["found"], f"write {number} is lost")
        said = daemons[2].kith("--json", "put", "sensors/last", "21.6")
        check('"in_memory":2' in said.stdout.replace(" ", ""), f"{said.stdout}{said.stderr}")


run_tests(what_was_confirmed_from_memory_is_there_after_one_replica_was_killed)
