#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Snapshots of real daemons under load, restored into a fresh home and into a living mesh; doctor's findings."""

import contextlib
import json
import os
import threading

from _mesh import KITH, Daemon, check, folder, mesh, run_tests, wait_for

KEYS = 400


def put_all(daemon, count=KEYS, prefix="k"):
    with contextlib.closing(daemon.client()) as client:
        for first in range(0, count, 100):
            items = [{"key": f"{prefix}{i}", "value": f"value {i} ".encode() * 20} for i in range(first, first + 100)]
            request = client.send("mput", items=items, wait="all", timeout_ms=10000)
            while True:
                message = client.receive()
                if message[0] == 1 and message[1] == request:
                    check(message[3]["failed"] == 0, f"mput: {message[3]}")
                    break


def value_of(daemon, key):
    answer = daemon.ok("get", key=key, r=3, timeout_ms=10000)
    return answer["values"][0]["value"] if answer["found"] else None


def snapshot(daemon, path):
    done = daemon.kith("snapshot", str(path), "--json")
    check(done.returncode == 0, f"snapshot: {done.stderr}")
    return json.loads(done.stdout)


class Writer(threading.Thread):
    """Writes a rising number to two keys in one request after another, so that a copy holds both or neither."""

    def __init__(self, daemon):
        super().__init__()
        self.client, self.count, self.is_stopped = daemon.client(), 0, False

    def run(self):
        while not self.is_stopped:
            self.client.ok("put", key="steady", value=str(self.count + 1).encode())
            self.count += 1
        self.client.close()


def a_snapshot_under_load_lives_on_in_a_fresh_home_as_another_node():
    with folder() as path, mesh(1) as (daemon,):
        put_all(daemon, 4000)
        daemon.ok("ns_set", namespace="carts", create=True, conflict="siblings")
        writer = Writer(daemon)
        writer.start()
        try:
            wait_for(lambda: writer.count > 20, "writes to go on")
            before = writer.count
            answer = snapshot(daemon, path / "copy")
            after = writer.count
        finally:
            writer.is_stopped = True
            writer.join()
        check(os.stat(path / "copy").st_mode & 0o777 == 0o600, "the file is for its owner alone")
        check(answer["bytes"] > 1_000_000, f"{answer}")
        old = daemon.ok("status")

        fresh = Daemon(path, "fresh")
        restored = fresh.kith("restore", str(path / "copy"), "--json")
        check(restored.returncode == 0, restored.stderr)
        check(json.loads(restored.stdout)["records"] == 4001, restored.stdout)
        fresh.start()
        try:
            now = fresh.ok("status")
            check(now["node"] != old["node"] and now["mesh"] == old["mesh"], f"{now['node']} in {now['mesh']}")
            check(value_of(fresh, "k3999") == b"value 3999 " * 20, "a value is missing")
            check(before <= int(value_of(fresh, "steady")) <= after + 1, "the copy is of another time")
            fresh.ok("put", key="k1", value=b"new")
            check(value_of(fresh, "k1") == b"new", "the fresh home takes writes")
            policies = fresh.ok("ns_list")["namespaces"]
            check([each["conflict"] for each in policies] == ["siblings"], f"the policies are {policies}")
        finally:
            fresh.stop()
        again = fresh.kith("restore", str(path / "copy"))
        check(again.returncode == 5, f"a home with a database is not written without its daemon: {again.stderr}")


def a_merge_into_a_living_mesh_brings_back_what_is_lost_and_undoes_nothing():
    with folder() as path, mesh(3) as daemons:
        put_all(daemons[0])
        snapshot(daemons[0], path / "copy")
        with contextlib.closing(daemons[1].client()) as client:
            client.ok("del", key="k1", wait="all")
            client.ok("put", key="k2", value=b"newer", wait="all")
        merged = daemons[2].kith("restore", str(path / "copy"), "--json")
        check(merged.returncode == 0, merged.stderr)
        answer = json.loads(merged.stdout)
        check(answer["done"] == KEYS and answer["refused"] == 0, f"{answer}")
        for daemon in daemons:
            check(value_of(daemon, "k1") is None, f"{daemon.name}: a deleted key came back")
            check(value_of(daemon, "k2") == b"newer", f"{daemon.name}: a newer value was replaced")
            check(value_of(daemon, "k3") == b"value 3 " * 20, f"{daemon.name}: k3 is wrong")


def a_fresh_home_finds_the_mesh_that_still_lives_and_undoes_nothing():
    with folder() as path, mesh(2) as daemons:
        put_all(daemons[0])
        snapshot(daemons[0], path / "copy")
        daemons[0].ok("del", key="k1", wait="all")
        fresh = Daemon(path, "fresh")
        check(fresh.kith("restore", str(path / "copy")).returncode == 0, "restore")
        fresh.start()
        try:
            wait_for(lambda: fresh.alive() >= 2, "the fresh node to find a member of the snapshot's mesh")
            wait_for(lambda: value_of(fresh, "k1") is None, "the delete to win")
            check(value_of(fresh, "k2") == b"value 2 " * 20, "k2 is wrong")
        finally:
            fresh.stop()


def a_bad_file_is_refused_and_leaves_nothing_behind():
    with folder() as path, mesh(1) as (daemon,):
        put_all(daemon, 1000)
        snapshot(daemon, path / "copy")
        bad = path / "bad"
        content = bytearray((path / "copy").read_bytes())
        content[len(content) // 2] ^= 4
        bad.write_bytes(content)
        fresh = Daemon(path, "fresh")
        for file, code, word in ((bad, 2, "damaged"), (path / "none", 1, "No such file"), (KITH, 2, "not a snapshot")):
            for home in (daemon, fresh):
                done = home.kith("restore", str(file))
                check(done.returncode == code and word in done.stderr, f"{file}: {done.returncode} {done.stderr}")
        check(sorted(os.listdir(fresh.home)) == ["lock"], f"left behind: {os.listdir(fresh.home)}")
        taken = daemon.kith("snapshot", str(path / "copy"))
        check(taken.returncode == 3 and "exists" in taken.stderr, taken.stderr)
        check(value_of(daemon, "k7") == b"value 7 " * 20, "the daemon lost a value")


def doctor(daemon):
    """(exit code, finding of each check)"""
    done = daemon.kith("doctor", "--json")
    findings = json.loads(done.stdout)["findings"]
    return done.returncode, {finding["check"]: finding for finding in findings}


def doctor_finds_a_healthy_node_healthy_and_names_what_is_wrong_with_one_that_does_not_run():
    with mesh(2) as (daemon, other):
        put_all(daemon)
        code, found = doctor(daemon)
        check(code == 0, f"{found}")
        for name in ("daemon", "members", "port", "disk", "database", "keys"):
            check(found[name]["verdict"] == "ok", f"{found[name]}")
        wait_for(lambda: "1 other" in doctor(daemon)[1]["other clocks"]["found"], "the other to tell its time")
        check(doctor(daemon)[1]["other clocks"]["verdict"] == "ok", "the clocks of one device differ")
        other.kill()
        wait_for(lambda: doctor(daemon)[1]["members"]["verdict"] == "fail", "the other's silence to be found")
        daemon.stop()
        daemon.process = None
        (daemon.home / "node.key").chmod(0o644)
        database = daemon.home / "kith.db"
        content = bytearray(database.read_bytes())
        content[len(content) // 2 // 4096 * 4096 + 100] ^= 1
        database.write_bytes(content)
        code, found = doctor(daemon)
        check(code == 1, f"{found}")
        for name, advice in (("daemon", "kithd --home"), ("keys", "chmod 600"), ("database", "start kithd again")):
            check(found[name]["verdict"] == "fail" and advice in found[name]["advice"], f"{found[name]}")
        check(found["disk"]["verdict"] == "ok", f"{found['disk']}")
        check("contacts" in found, f"{found}")


def doctor_of_a_daemon_that_does_not_run_tells_who_is_remembered_and_what_is_kept_free():
    with mesh(2) as (daemon, _):
        wait_for(lambda: doctor(daemon)[1]["members"]["found"].startswith("1 of 1"), "the two to meet")
        daemon.stop()
        daemon.process = None
        found = doctor(daemon)[1]["contacts"]
        check(found["verdict"] == "ok" and found["found"].endswith(": 1"), f"{found}")
        (daemon.home / "kith.toml").write_text(f"[storage]\nreserve_bytes = {1 << 50}\n")
        found = doctor(daemon)[1]["disk"]
        check(found["verdict"] == "fail" and "reserve_bytes" in found["found"], f"{found}")


run_tests(a_snapshot_under_load_lives_on_in_a_fresh_home_as_another_node,
          a_merge_into_a_living_mesh_brings_back_what_is_lost_and_undoes_nothing,
          a_fresh_home_finds_the_mesh_that_still_lives_and_undoes_nothing,
          a_bad_file_is_refused_and_leaves_nothing_behind,
          doctor_finds_a_healthy_node_healthy_and_names_what_is_wrong_with_one_that_does_not_run,
          doctor_of_a_daemon_that_does_not_run_tells_who_is_remembered_and_what_is_kept_free)
